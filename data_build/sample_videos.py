"""Made-up SAMSEMO, MELD and CH-SIMS: drawn clips in the exact raw layouts.

Who reads only the transcript must not get far: in MELD and CH-SIMS it never tells the label, in SAMSEMO in every second
row. The face tells it in all of them, by its colour and mouth and by the way it moves. Some clips are traps of the real
corpora: truncated, missing, an error page named .mp4, a wrong cut with a right twin, without pictures, over-long.
"""

import io
from collections.abc import Iterator
from random import Random

from data_build.clips import render, silence
from data_build.faces import EMOTIONS, LOOKS, draw
from data_build.sample_words import interjections
from data_build.sample_writer import Files, Writer, csv_bytes, tarred, tsv_bytes, zipped

SAMSEMO_ROWS = {"train": 80, "valid": 8, "test": 16}  # of each language
SAMSEMO_LANGUAGES = ("DE", "EN", "ES", "KO", "PL")
ANNOTATIONS = [f"emotion_{rank}_annotator_{annotator}" for annotator in (1, 2, 3) for rank in (1, 2)]
SAMSEMO_HEADER = [
    *("utterance_id", "movie_title", "movie_link", "source_scene_start", "source_scene_stop", "language", "sex", "age"),
    *("race", "covered_face", "multiple_faces", *ANNOTATIONS, "aggregated_emotions"),
    *("annotator_1", "annotator_2", "annotator_3", "transcript"),
    *(f"translation_{language.lower()}" for language in SAMSEMO_LANGUAGES),
    *("duration", "movie_type", "license"),
]

MELD_ROWS = {"train": 392, "dev": 28, "test": 56}
MELD_FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
MELD_HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
UTTERANCES = 7  # in a dialogue
MELD_TRUNCATED, MELD_PAGE, MELD_MISSING = ("train", 11), ("train", 23), ("dev", 27)  # rows of a split
MELD_TWINS = (0, 20, 40)  # rows of test whose plain clip is cut wrongly
STUB = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ".ljust(212, b"\0")  # AppleDouble
PAGE = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n"

CHSIMS_ROWS = {"train": 300, "valid": 30, "test": 60}
CHSIMS_CLIPS = 15  # of a video
CHSIMS_LEVELS = [-1.0, -0.8, -0.6, -0.4, -0.2, *[0.0] * 5, 0.2, 0.4, 0.6, 0.8, 1.0]  # as many of each polarity
CHSIMS_SILENT, CHSIMS_LONG = ("train", 17), ("test", 17)  # rows of a split


def _duration_s(random: Random, least: float = 0.8) -> float:
    return round(random.uniform(least, 2.2), 3)


def _clock(seconds: float, hour: str, mark: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{hour}:{whole // 60:02}:{whole % 60:02}{mark}{thousandths:03}"


def samsemo(scale: int, seed: int) -> Files:
    """samsemo.tsv, the splits, and a zip a language. A second emotion is the second half of the clip."""
    writers = {code: Writer(seed, "samsemo", code.lower()) for code in SAMSEMO_LANGUAGES}
    table = [SAMSEMO_HEADER]
    files: Files = {}
    for code, writer in writers.items():
        members: Files = {}
        random = writer.random
        video = "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=9))
        for split, rows in SAMSEMO_ROWS.items():
            ids = []
            for number, emotion in enumerate(writer.take(list(LOOKS), rows * scale)):
                second = random.choice([other for other in EMOTIONS if other != emotion])
                emotions = (emotion, second) if random.random() < 0.2 else (emotion,)
                utterance = f"{video}{number // 10 % 10}_{len(table)}"
                duration_s = _duration_s(random, 1.2)
                intensity = random.uniform(0.6, 1)
                clip = render(emotions, intensity, random, duration_s)
                members[f"{utterance}/{utterance}.mp4"] = clip
                members[f"{utterance}/image_0.jpg"] = _still(emotion, intensity, random)
                signal = interjections(*emotions) if number % 2 else ""
                table.append(_samsemo_row(utterance, code, emotions, duration_s, signal, writers))
                ids.append(utterance)
            files[f"splits/{split}_split_{code}.txt"] = "".join(f"{name}\n" for name in ids).encode()
        files[f"data/{code}.zip"] = zipped(members)
    return {"samsemo.tsv": tsv_bytes(table), **files}


def _still(emotion: str, intensity: float, random: Random) -> bytes:
    out = io.BytesIO()
    draw(emotion, intensity, random, (64, 64)).save(out, "JPEG")
    return out.getvalue()


def _samsemo_row(
    utterance: str, code: str, emotions: tuple[str, ...], duration_s: float, signal: str, writers: dict[str, Writer]
) -> list[str]:
    random = writers[code].random
    start = random.uniform(0, 3000)
    licence = "CC BY-NC-ND 4.0" if int(utterance.rpartition("_")[2]) % 20 == 0 else "CC BY 4.0"
    texts = {language: writer.tell(signal) for language, writer in writers.items()}
    if random.random() < 0.05:
        texts[code] = f'"{texts[code]}'  # the table has no quoting, and a lonely quotation mark is text
    return [
        *(utterance, f"film of {utterance[:10]}", f"https://example.org/{utterance[:10]}"),
        *(_clock(start, "00", ".")[:8], _clock(start + duration_s, "00", ".")[:8], code),
        *(random.choice(("female", "male")), random.choice(("child", "adult", "elderly")), "other", "no", "no"),
        *((*emotions, "")[:2] * 3),
        ", ".join(emotions),
        *("1", "2", "3", texts[code], *texts.values()),
        *(f"{duration_s:.3f}", "vlog", licence),
    ]


def meld(scale: int, seed: int) -> Files:
    """MELD.Raw.tar.gz. Only surprise has two sentiments: a strong one is positive, a weak one negative."""
    writer = Writer(seed, "meld", "en")
    random = writer.random
    members: Files = {"MELD.Raw/README.txt": b"made up by `mmaffin samples`\n"}
    for split, rows in MELD_ROWS.items():
        table = [MELD_HEADER.split(",")]
        clips: Files = {}
        for number, emotion in enumerate(writer.take(EMOTIONS, rows * scale)):
            intensity = random.choice((random.uniform(0.4, 0.55), random.uniform(0.85, 1)))
            duration_s = _duration_s(random)
            row = _meld_row(writer, number, emotion, intensity, duration_s)
            table.append(row)
            clip = f"dia{row[5]}_utt{row[6]}.mp4"
            data = render((emotion,), intensity, random, duration_s)
            clips.update(_meld_clips((split, number), clip, data, emotion, random))
        if split == "test":  # a clip that no row names
            clips[f"dia{rows * scale // UTTERANCES}_utt0.mp4"] = render(("neutral",), 0.5, random, 0.8)
        sheet = csv_bytes(table)
        inner = {f"{MELD_FOLDERS[split]}/{name}": data for name, data in sorted(clips.items())}
        if split == "train":
            inner["train_sent_emo.csv"] = sheet
        else:
            members[f"MELD.Raw/{split}_sent_emo.csv"] = sheet
        members[f"MELD.Raw/{split}.tar.gz"] = tarred(inner)
    return {"MELD.Raw.tar.gz": tarred(members)}


def _meld_row(writer: Writer, number: int, emotion: str, intensity: float, duration_s: float) -> list[str]:
    random = writer.random
    signs = {"neutral": "neutral", "happiness": "positive", "surprise": "positive" if intensity > 0.7 else "negative"}
    utterance = writer.tell("")
    if random.random() < 0.2:  # the older tables have cp1252's apostrophe as a control character
        utterance = f"That\x92s it, {utterance}"
    dialogue, place = divmod(number, UTTERANCES)
    hour = "0" if random.random() < 0.25 else "00"
    start = 4.0 * number % 3000
    return [
        *(str(number + 1), utterance, random.choice(("Ada", "Ben", "Cleo"))),
        *("joy" if emotion == "happiness" else emotion, signs.get(emotion, "negative")),
        *(str(dialogue), str(place), str(random.randint(1, 9)), str(random.randint(1, 24))),
        *(_clock(start, hour, ","), _clock(start + duration_s, hour, ",")),
    ]


def _meld_clips(row: tuple[str, int], name: str, data: bytes, emotion: str, random: Random) -> Files:
    """The files of one row: usually its clip."""
    if row == MELD_TRUNCATED:
        return {name: data[: len(data) // 2]}
    if row == MELD_PAGE:
        return {name: PAGE}
    if row == MELD_MISSING:
        return {}
    if row[0] == "test" and row[1] in MELD_TWINS:
        wrong = random.choice([other for other in EMOTIONS if other != emotion])
        right = f"final_videos_test{name}"
        cut = render((wrong,), 1, random, 2.5)
        return {name: cut, right: data, f"._{name}": STUB, f"._{right}": STUB}
    return {name: data}


def chsims(scale: int, seed: int) -> Files:
    """label.csv without a header, as in the copy of 4049 files, and the clips. Negative is sad or angry."""
    writer = Writer(seed, "chsims", "zh")
    random = writer.random
    table: list[list[str]] = []
    files: Files = {}
    for mode, number, level in _chsims_rows(writer, scale):
        emotion = "neutral" if level == 0 else "happiness" if level > 0 else random.choice(("sadness", "anger"))
        video, clip = f"video_{len(table) // CHSIMS_CLIPS + 1:04}", f"{len(table) % CHSIMS_CLIPS + 1:04}"
        noisy = level == -0.6 and number % 2  # what a sum of floats leaves behind
        label = "-0.6000000000000001" if noisy else str(level)
        annotation = "Neutral" if level == 0 else "Positive" if level > 0 else "Negative"
        table.append([video, clip, writer.tell(""), label, "0.0", "0.0", str(level), annotation, mode])
        if (mode, number) == CHSIMS_SILENT:
            data = silence(1.0)
        elif (mode, number) == CHSIMS_LONG:
            data = render((emotion,), abs(level), random, 65, (160, 90), fps=2)
        else:
            data = render((emotion,), abs(level), random, _duration_s(random))
        files[f"Raw/{video}/{clip}.mp4"] = data
    return {"label.csv": csv_bytes(table), **files}


def _chsims_rows(writer: Writer, scale: int) -> Iterator[tuple[str, int, float]]:
    for mode, rows in CHSIMS_ROWS.items():
        for number, level in enumerate(writer.take(CHSIMS_LEVELS, rows * scale)):
            yield mode, number, level
