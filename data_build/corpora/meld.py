"""MELD: utterances of the series Friends with their clips, each with one of seven emotions and a sentiment.

Home      https://affective-meld.github.io, https://github.com/declare-lab/MELD
Tasks     emotion classification (MELD_EC), sentiment polarity (MELD_SP); clip and transcript; English
Licence   GPL-3.0 (the repository); the footage belongs to Warner
Files     MELD.Raw.tar.gz (10.9 GB), extracted or not, like the archives in it: train_splits/, dev_splits_complete/,
          output_repeated_splits_test/dia<D>_utt<U>.mp4. A clip's name is unique only within its split, which the folder
          shows. {train,dev,test}_sent_emo.csv, best from GitHub; loose tables are preferred to those in archives
Format    CSV with quoting, a header, CRLF or LF; UTF-8. Copies before November 2020, such as those in the archive, have
          the typographic signs as U+0080..U+009F; copies in cp1252 and GB 18030 also circulate. All are repaired
Sizes     9,989 / 1,109 / 2,610 rows (train / dev / test), two examples each. The paper has 2,530 test rows and
          does not say which; we keep all rows whose clip can be decoded
Clips     test clips named final_videos_test... were cut again and replace those without this prefix, which are wrong.
          dev dia110_utt7 does not exist, train dia125_utt3 cannot be read; test dia38_utt4 and dia220_utt0 are
          minutes long (the build takes the middle of a clip longer than the option max_s). Clips without a row
          are ignored: dev dia49_utt4, dia49_utt5, dia66_utt9, dia66_utt10; test dia93_utt5 to utt7, dia108_utt1,
          dia108_utt2
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from random import Random
from typing import Any

from data_build.drawing.drawn_clips import draw_duration_s, render
from data_build.drawing.faces import EMOTIONS
from data_build.drawing.writer import Files, Writer, clock, csv_bytes, tarred
from data_build.reading.corpus import Bad, Corpus, Example, RawMedia, RawPart, batched, clean, label_set, unrecognised
from data_build.reading.encodings import C1
from data_build.reading.picture_files import by_key
from data_build.reading.raw import RawFile, csv_rows, one_of
from data_build.reading.utterances import MAX_S, columns, is_clip, max_s
from mmafflm.errors import Fault

TABLES = {"train": "train_sent_emo.csv", "val": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
COLUMNS = ("Utterance", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")  # required; _origin reads more
ITEMS = (("MELD_EC", "ec", "Emotion"), ("MELD_SP", "sp", "Sentiment"))
CLIP = re.compile(r"(final_videos_test)?dia(\d+)_utt(\d+)", re.IGNORECASE)
FOLDER = re.compile(r"(train|dev|val|test)(?:_splits)?(?:_complete)?(?:\.tar|\.tgz|\.tar\.gz|\.zip)?", re.IGNORECASE)


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    max_s("meld", options)
    tables = {split: [file for file in files if file.basename.lower() == name] for split, name in TABLES.items()}
    if files and not any(tables.values()):
        raise unrecognised("meld", files, ", ".join(TABLES.values()))
    stems = [(file, CLIP.fullmatch(PurePosixPath(file.basename).stem)) for file in files if is_clip(file)]
    clips = [(file, match) for file, match in stems if match]
    placed = {split: [clip for clip in clips if _split_of(clip[0]) == split] for split in TABLES}
    if files and not any(placed.values()):
        found = f", found {clips[0][0].name}" if clips else ""
        raise Fault(
            "meld: the tables were found, but no clip; expected train_splits/dia0_utt0.mp4 and so on in folders named "
            f"train_splits, dev_splits_complete, output_repeated_splits_test{found}. "
            "Extract MELD.Raw.tar.gz next to the tables, or put the archive itself there."
        )
    return [
        RawPart(split, (_table(copies),), {"split": split}, _media(placed[split]))
        for split, copies in tables.items()
        if copies
    ]


def _split_of(file: RawFile) -> str | None:
    """The split of the innermost folder or archive that is named after a split; None without one."""
    for folder in reversed(re.split(r"[/!]", file.name)[:-1]):
        if match := FOLDER.fullmatch(folder.lower().replace("output_repeated_splits_", "")):
            return {"dev": "val"}.get(match[1], match[1])
    return None


def _media(clips: list[tuple[RawFile, re.Match[str]]]) -> dict[str, str]:
    """Map dia<D>_utt<U> to its clip. Test clips that were cut again replace those without the prefix."""
    plain = by_key("meld", [(_key(match[2], match[3]), file) for file, match in clips if not match[1]])
    return plain | by_key("meld", [(_key(match[2], match[3]), file) for file, match in clips if match[1]])


def _key(dialogue: str, utterance: str) -> str:
    return f"dia{int(dialogue)}_utt{int(utterance)}"


def _table(copies: list[RawFile]) -> RawFile:
    """Choose a copy of a table: one in the fewest archives and, of several, one without control characters."""
    depth = min(file.name.count("!") for file in copies)
    near = [file for file in copies if file.name.count("!") == depth]  # a copy in a tar archive takes minutes to read
    return one_of(near, rank=_has_c1) if len(near) > 1 else near[0]


def _has_c1(file: RawFile) -> bool:
    return not C1.keys().isdisjoint(map(ord, set(file.text("cp1252"))))


def _rows(part: RawPart, options: Mapping[str, Any]) -> Iterator[Example | Bad]:
    file, longest_s = part.files[0], max_s("meld", options)
    rows = csv_rows(file.name, file.text("cp1252").translate(C1))
    names = columns("meld", file, next(rows, None), COLUMNS)
    seen: set[str] = set()
    for line, fields in rows:
        row = dict(zip(names, fields, strict=False)) if len(fields) == len(names) else {}
        yield from _items(row, fields, f"{file.name}:{line}", seen, part, longest_s)


def _items(
    row: Mapping[str, str], fields: list[str], source: str, seen: set[str], part: RawPart, longest_s: float
) -> Iterator[Example | Bad]:
    """The row's two examples, of MELD_EC and of MELD_SP, or a Bad instead of either."""
    numbers = [row.get(name, "").strip() for name in ("Dialogue_ID", "Utterance_ID")]
    is_numbered = all(re.fullmatch(r"[0-9]+", number) for number in numbers)
    key = _key(*numbers) if is_numbered else ""
    text = clean(row.get("Utterance", ""))
    reason = (
        ("the number of fields differs from the header" if not row else "")
        or ("dialogue or utterance is not a number" if not is_numbered else "")
        or ("duplicate id" if key in seen else "")
        or ("empty text" if not text else "")
        or ("clip is missing" if key not in part.media else "")
    )
    seen.add(key)
    for subset, task, column in ITEMS:
        if reason:
            yield Bad(source, reason, f"{subset}: {key or ','.join(fields)}"[:200], subset)
            continue
        label = label_set(subset, task).canonical(row[column])
        if label is None:
            yield Bad(
                source, "label is not in the label set", f"{subset}: {row[column]}"[:200], subset, unknown=row[column]
            )
        else:
            media = RawMedia("video", part.media[key], max_s=longest_s)
            split, origin = part.about["split"], _origin(row, part)
            group = f"dialogue:{origin['dialogue']}"
            yield Example(subset, task, "en", split, [label], text, source, media=media, origin=origin, group=group)


def _origin(row: Mapping[str, str], part: RawPart) -> dict[str, str | float]:
    """The dialogue and, if the table has them, the speaker, the episode, and the start and end in seconds."""
    origin: dict[str, str | float] = {"dialogue": f"{part.about['split']}/{int(row['Dialogue_ID'])}"}
    if speaker := clean(row.get("Speaker", "")):
        origin["speaker"] = speaker
    season, episode = (row.get(name, "").strip() for name in ("Season", "Episode"))
    if season and episode:
        origin["episode"] = f"{season}/{episode}"
    times = [_seconds(row.get(name, "")) for name in ("StartTime", "EndTime")]
    return origin | {name: time for name, time in zip(("start_s", "end_s"), times, strict=True) if time is not None}


def _seconds(time: str) -> float | None:
    """Convert a time such as 00:16:16,059 to seconds since the start of the episode; None for anything else."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+)[,.](\d{3})", time.strip())
    if not match:
        return None
    hours, minutes, seconds, thousandths = map(int, match.groups())
    return 3600 * hours + 60 * minutes + seconds + thousandths / 1000


SAMPLE_ROWS = {"train": 392, "dev": 28, "test": 56}
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
UTTERANCES = 7  # per dialogue
TRUNCATED, PAGE_AT, MISSING = ("train", 11), ("train", 23), ("dev", 27)  # split and row of a bad or missing clip
TWINS = (0, 20, 40)  # test rows whose clip without the prefix is cut wrongly
STUB = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ".ljust(212, b"\0")  # AppleDouble
PAGE = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n"


def _samples(scale: int, seed: int) -> Files:
    """MELD.Raw.tar.gz. Only surprise has two sentiments: strong surprise is positive, weak surprise negative."""
    writer = Writer(seed, "meld", "en")
    random = writer.random
    members: Files = {"MELD.Raw/README.txt": b"made up by `mmaffin samples`\n"}
    for split, rows in SAMPLE_ROWS.items():
        table = [HEADER.split(",")]
        clips: Files = {}
        for number, emotion in enumerate(writer.take(EMOTIONS, rows * scale)):
            intensity = random.choice((random.uniform(0.4, 0.55), random.uniform(0.85, 1)))
            duration_s = draw_duration_s(random)
            row = _made_row(writer, number, emotion, intensity, duration_s)
            table.append(row)
            clip = f"dia{row[5]}_utt{row[6]}.mp4"
            data = render((emotion,), intensity, random, duration_s)
            clips.update(_made_clips((split, number), clip, data, emotion, random))
        if split == "test":  # a clip without a row
            clips[f"dia{rows * scale // UTTERANCES}_utt0.mp4"] = render(("neutral",), 0.5, random, 0.8)
        sheet = csv_bytes(table)
        inner = {f"{FOLDERS[split]}/{name}": data for name, data in sorted(clips.items())}
        if split == "train":
            inner["train_sent_emo.csv"] = sheet
        else:
            members[f"MELD.Raw/{split}_sent_emo.csv"] = sheet
        members[f"MELD.Raw/{split}.tar.gz"] = tarred(inner)
    return {"MELD.Raw.tar.gz": tarred(members)}


def _made_row(writer: Writer, number: int, emotion: str, intensity: float, duration_s: float) -> list[str]:
    random = writer.random
    signs = {"neutral": "neutral", "happiness": "positive", "surprise": "positive" if intensity > 0.7 else "negative"}
    utterance = writer.tell("")
    if random.random() < 0.2:  # the older tables hold cp1252's apostrophe as a control character
        utterance = f"That\x92s it, {utterance}"
    dialogue, place = divmod(number, UTTERANCES)
    hour = "0" if random.random() < 0.25 else "00"
    start = 4.0 * number % 3000
    return [
        *(str(number + 1), utterance, random.choice(("Ada", "Ben", "Cleo"))),
        *("joy" if emotion == "happiness" else emotion, signs.get(emotion, "negative")),
        *(str(dialogue), str(place), str(random.randint(1, 9)), str(random.randint(1, 24))),
        *(clock(start, hour, ","), clock(start + duration_s, hour, ",")),
    ]


def _made_clips(row: tuple[str, int], name: str, data: bytes, emotion: str, random: Random) -> Files:
    """The files of one row: usually its clip."""
    if row == TRUNCATED:
        return {name: data[: len(data) // 2]}
    if row == PAGE_AT:
        return {name: PAGE}
    if row == MISSING:
        return {}
    if row[0] == "test" and row[1] in TWINS:
        wrong = random.choice([other for other in EMOTIONS if other != emotion])
        right = f"final_videos_test{name}"
        cut = render((wrong,), 1, random, 2.5)
        return {name: cut, right: data, f"._{name}": STUB, f"._{right}": STUB}
    return {name: data}


CORPUS = Corpus(
    name="meld",
    licence="GPL-3.0 (annotations); footage: Warner Bros.",
    get="Download http://web.eecs.umich.edu/~mihalcea/downloads/MELD.Raw.tar.gz and extract it and the archives in it, "
    "with data/MELD/*_sent_emo.csv of https://github.com/declare-lab/MELD next to them.",
    expected={  # val has 1,108 rows, not 1,109: one dev clip does not exist
        f"{subset} {split}": rows
        for subset in ("MELD_EC", "MELD_SP")
        for split, rows in (("train", 9_989), ("val", 1_108), ("test", 2_610))
    },
    find=_find,
    read=lambda part, options: batched(_rows(part, options)),
    options={"max_s": MAX_S},
    terms="the GPL-3.0 covers the annotations only; the footage belongs to Warner",
    samples=_samples,
    mix={"MELD_EC": 5_000, "MELD_SP": 5_000},
    row_origins=("speaker", "episode"),
    cite="Poria et al. (2019): MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations. ACL",
)
