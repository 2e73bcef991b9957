"""SAMSEMO: scenes of web videos in five languages with their clips, each with one or two of eight emotions.

Home      https://github.com/samsungnlp/samsemo, https://huggingface.co/datasets/SamsungNLP/SAMSEMO
Task      emotion classification, one or two labels; clip and transcript; German, English, Spanish, Korean, Polish
Licence   CC BY 4.0 (the annotations); each video has its own licence, in the column license of samsemo.tsv
Files     samsemo.tsv; splits/{train,valid,test}_split_{DE,EN,ES,KO,PL}.txt; data/{DE,EN,ES,KO,PL}.zip (11 to 39 GB),
          unpacked or not. Features (*.pkl) and the pictures and sounds next to each clip are ignored
Format    UTF-8, tabs, a header. The quoting is unknown: we read without quoting, unless the fields are quoted
          throughout or only CSV quoting gives every row its columns. The lists hold one utterance_id per line
Labels    aggregated_emotions; the separator between two is unknown, so we accept , ; / | & + and "and"
Clips     their names are unknown. We take <utterance_id>.mp4, or the only <utterance_id>*.mp4 (p_15.mp4 does not match
          p_1), or the only .mp4 in a folder <utterance_id>. The build takes the middle of a clip longer than max_s
Sizes     unknown; the paper has 2,181 test rows
Rows out  an id in the lists of two splits goes into neither, so that nothing leaks; the build continues, because a user
          could not repair the lists. An id in a list but not in samsemo.tsv is reported with the list's line
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from random import Random
from typing import Any, NamedTuple

from data_build.drawing.drawn_clips import draw_duration_s, render
from data_build.drawing.faces import EMOTIONS, LOOKS, draw
from data_build.drawing.words import interjections
from data_build.drawing.writer import Files, Writer, clock, tsv_bytes, zipped
from data_build.reading.corpus import Bad, Corpus, Example, RawMedia, RawPart, batched, clean, label_set, unrecognised
from data_build.reading.raw import CsvRow, RawFile, csv_rows, one_of
from data_build.reading.utterances import MAX_S, columns, is_clip, max_s, no_clip_fits
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault

TABLE = "samsemo.tsv"
SPLITS = {"train": "train", "valid": "val", "test": "test"}
LIST = re.compile(r"(train|valid|test)_split_([a-z]{2})\.txt", re.IGNORECASE)
COLUMNS = ("utterance_id", "language", "aggregated_emotions", "transcript")
SEPARATOR = re.compile(r"[,;/|&+]|\band\b", re.IGNORECASE)
EDGES = re.compile(r"^[\s\[\](){}'\"]+|[\s\[\](){}'\"]+\Z")  # brackets and quotes, in case it is a Python list
CLIP = re.compile(r"(?:.*[/!])?(.+)_\d+\.\w+$")  # film, number; seen in a part of the corpus, not verified for the rest
QUOTED = re.compile(r'"(?:[^"]|"")*"')


class Listed(NamedTuple):
    """A line of a split list that has an utterance's id."""

    split: str
    source: str  # file name and line of the list


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    max_s("samsemo", options)
    tables = [file for file in files if file.basename.lower() == TABLE]
    if files and not tables:
        raise unrecognised("samsemo", files, f"{TABLE}, splits/train_split_EN.txt and so on, and data/EN.zip and so on")
    if not tables:
        return []
    copies: dict[str, list[RawFile]] = {}
    for file in files:
        if LIST.fullmatch(file.basename):
            copies.setdefault(file.basename.lower(), []).append(file)
    media = _media(file for file in files if is_clip(file))
    for what, there in (("splits/train_split_EN.txt and so on", copies), ("data/EN.zip and so on", media)):
        if not there:
            raise Fault(
                f"samsemo: {tables[0].name} was found, but not {what}. Download the whole of "
                "https://huggingface.co/datasets/SamsungNLP/SAMSEMO."
            )
    return [RawPart("utterances", (one_of(tables), *(one_of(copies[name]) for name in sorted(copies))), media=media)]


def _media(clips: Iterable[RawFile]) -> dict[str, str]:
    """Map each possible utterance_id to its clip if only one clip matches, not counting copies; see Clips above."""
    exact: dict[str, list[RawFile]] = {}
    started: dict[str, list[RawFile]] = {}
    alone: dict[str, list[RawFile]] = {}
    for file in clips:
        folders, stem = re.split(r"[/!]", file.name)[:-1], PurePosixPath(file.basename).stem
        exact.setdefault(stem, []).append(file)
        for number in re.finditer(r"_[0-9]+(?=[^0-9])", stem):
            started.setdefault(stem[: number.end()], []).append(file)
        if folders:
            alone.setdefault(folders[-1], []).append(file)
    return {
        key: min((len(file.name), file.name) for file in files)[1]
        for found in (alone, started, exact)  # later matches replace earlier ones
        for key, files in found.items()
        if len({(file.basename, file.size) for file in files}) == 1
    }


def split_emotions(text: str) -> list[str]:
    """The names in a value of aggregated_emotions such as "Anger, Sadness", in lower case, known or not."""
    names = (EDGES.sub("", name).lower() for name in SEPARATOR.split(text))
    return [name for name in names if name]


def _table(file: RawFile) -> list[CsvRow]:
    """The rows, header first. CSV quoting applies if fields look quoted, unless the other reading keeps more rows."""
    text = file.text()
    plain = list(csv_rows(file.name, text, "\t", csv.QUOTE_NONE))
    marked = [field for row in plain for field in row.fields if '"' in field]
    # Doubled quotes inside a field that begins and ends with a quote: plain text would not do that in every field.
    quoted = all(map(QUOTED.fullmatch, marked)) and any(
        '""' in field[1:-1] or field in plain[0].fields for field in marked
    )
    if not quoted and _whole(plain) == len(plain):
        return plain
    as_csv = list(csv_rows(file.name, text, "\t"))
    return max((as_csv, plain) if quoted else (plain, as_csv), key=_whole)


def _whole(rows: list[CsvRow]) -> int:
    """The number of rows with as many fields as the header."""
    return sum(len(row.fields) == len(rows[0].fields) for row in rows)


def _lists(files: Iterable[RawFile]) -> dict[str, list[Listed]]:
    """The lines of the split lists that have an utterance's id, by id; at most one line per split."""
    found: dict[str, list[Listed]] = {}
    for file in files:
        match = LIST.fullmatch(file.basename)
        assert match
        split = SPLITS[match[1].lower()]
        for number, line in enumerate(file.text().split("\n"), 1):
            places = found.setdefault(line.strip(), [])
            if all(place.split != split for place in places):
                places.append(Listed(split, f"{file.name}:{number}"))
    found.pop("", None)
    return found


def _rows(part: RawPart, options: Mapping[str, Any]) -> Iterator[Example | Bad]:
    file, longest_s = part.files[0], max_s("samsemo", options)
    rows, lists = _table(file), _lists(part.files[1:])
    names = columns("samsemo", file, rows[0] if rows else None, COLUMNS)
    seen: set[str] = set()
    for line, fields in rows[1:]:
        source = f"{file.name}:{line}"
        if len(fields) != len(names):
            yield Bad(source, "the number of fields differs from the header", "\t".join(fields)[:200])
            continue
        row = dict(zip(names, fields, strict=True))
        key = row["utterance_id"].strip()
        yield _row(row, key, source, lists.get(key, []), seen, part.media, longest_s)
        seen.add(key)
    if seen.isdisjoint(part.media):
        raise no_clip_fits("samsemo", file, min(seen, default="an utterance_id"), part.media)
    for key, places in lists.items():
        if key not in seen:
            yield Bad(places[0].source, f"in a split list, not in {TABLE}", key[:200], split=places[0].split)


def _row(
    row: Mapping[str, str],
    key: str,
    source: str,
    places: list[Listed],
    seen: set[str],
    media: Mapping[str, str],
    longest_s: float,
) -> Example | Bad:
    language, text = row["language"].strip().lower(), clean(row["transcript"])
    subset = benchmark()["SAMSEMO"]
    grammar = label_set("SAMSEMO")
    names = split_emotions(row["aggregated_emotions"])
    labels = [grammar.canonical(name) for name in names]
    known = [label for label in labels if label is not None]
    split = places[0].split if places else None
    strange = next((name for name, label in zip(names, labels, strict=True) if label is None), None)
    for reason, is_so, told in (
        ("duplicate id", key in seen, key),
        ("in no split list", not places, key),
        ("in the lists of two splits", len(places) > 1, f"{key}: {', '.join(place.source for place in places)}"),
        ("language is not in the benchmark", language not in subset.languages, row["language"]),
        ("label is not in the label set", len(known) < len(labels) or not known, row["aggregated_emotions"]),
        ("more than two labels", len(set(known)) > grammar.most, row["aggregated_emotions"]),
        ("empty text", not text, key),
        ("clip is missing or not the only one", key not in media, key),
    ):
        if is_so:
            unknown = (
                row["language"] if reason.startswith("language") else strange if reason.startswith("label") else None
            )
            return Bad(source, reason, told[:200], split=split, unknown=unknown)
    clip, gold = RawMedia("video", media[key], max_s=longest_s), grammar.sort(known)
    origin = _origin(row)
    film = origin.get("film") or ((match := CLIP.fullmatch(media[key])) and match[1])
    group = f"film:{film}" if film else None
    return Example("SAMSEMO", "ec", language, split, gold, text, source, media=clip, origin=origin, group=group)


def _origin(row: Mapping[str, str]) -> dict[str, str | float]:
    """The film, its link and its licence. Many licences require them wherever a clip is passed on."""
    columns = (("film", "movie_title"), ("link", "movie_link"), ("licence", "license"))
    return {name: text for name, column in columns if (text := clean(row.get(column, "")))}


SAMPLE_ROWS = {"train": 80, "valid": 8, "test": 16}  # per language
LANGUAGES = ("DE", "EN", "ES", "KO", "PL")
ANNOTATIONS = [f"emotion_{rank}_annotator_{annotator}" for annotator in (1, 2, 3) for rank in (1, 2)]
HEADER = [
    *("utterance_id", "movie_title", "movie_link", "source_scene_start", "source_scene_stop", "language", "sex", "age"),
    *("race", "covered_face", "multiple_faces", *ANNOTATIONS, "aggregated_emotions"),
    *("annotator_1", "annotator_2", "annotator_3", "transcript"),
    *(f"translation_{language.lower()}" for language in LANGUAGES),
    *("duration", "movie_type", "license"),
]


def _samples(scale: int, seed: int) -> Files:
    """samsemo.tsv, the split lists, and a zip per language. A second emotion fills the second half of the clip."""
    writers = {code: Writer(seed, "samsemo", code.lower()) for code in LANGUAGES}
    table = [HEADER]
    files: Files = {}
    for code, writer in writers.items():
        members: Files = {}
        random = writer.random
        video = "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=9))
        for split, rows in SAMPLE_ROWS.items():
            ids = []
            for number, emotion in enumerate(writer.take(list(LOOKS), rows * scale)):
                second = random.choice([other for other in EMOTIONS if other != emotion])
                emotions = (emotion, second) if random.random() < 0.2 else (emotion,)
                utterance = f"{video}{number // 10 % 10}_{len(table)}"
                duration_s = draw_duration_s(random, 1.2)
                intensity = random.uniform(0.6, 1)
                clip = render(emotions, intensity, random, duration_s)
                members[f"{utterance}/{utterance}.mp4"] = clip
                members[f"{utterance}/image_0.jpg"] = _still(emotion, intensity, random)
                signal = interjections(*emotions) if number % 2 else ""
                table.append(_made_row(utterance, code, emotions, duration_s, signal, writers))
                ids.append(utterance)
            files[f"splits/{split}_split_{code}.txt"] = "".join(f"{name}\n" for name in ids).encode()
        files[f"data/{code}.zip"] = zipped(members)
    return {"samsemo.tsv": tsv_bytes(table), **files}


def _still(emotion: str, intensity: float, random: Random) -> bytes:
    out = io.BytesIO()
    draw(emotion, intensity, random, (64, 64)).save(out, "JPEG")
    return out.getvalue()


def _made_row(
    utterance: str, code: str, emotions: tuple[str, ...], duration_s: float, signal: str, writers: dict[str, Writer]
) -> list[str]:
    random = writers[code].random
    start = random.uniform(0, 3000)
    licence = "CC BY-NC-ND 4.0" if int(utterance.rpartition("_")[2]) % 20 == 0 else "CC BY 4.0"
    texts = {language: writer.tell(signal) for language, writer in writers.items()}
    if random.random() < 0.05:
        texts[code] = f'"{texts[code]}'  # the table has no quoting: a single quotation mark is part of the text
    return [
        *(utterance, f"film of {utterance[:10]}", f"https://example.org/{utterance[:10]}"),
        *(clock(start, "00", ".")[:8], clock(start + duration_s, "00", ".")[:8], code),
        *(random.choice(("female", "male")), random.choice(("child", "adult", "elderly")), "other", "no", "no"),
        *((*emotions, "")[:2] * 3),
        ", ".join(emotions),
        *("1", "2", "3", texts[code], *texts.values()),
        *(f"{duration_s:.3f}", "vlog", licence),
    ]


CORPUS = Corpus(
    name="samsemo",
    licence="CC BY 4.0 (annotations); each video has its own, see the column license",
    get="Download samsemo.tsv, splits/ and data/*.zip of https://huggingface.co/datasets/SamsungNLP/SAMSEMO.",
    expected={"SAMSEMO test": 2_181},
    find=_find,
    read=lambda part, options: batched(_rows(part, options)),
    options={"max_s": MAX_S},
    terms="the CC BY 4.0 covers the annotations only; each clip has its own licence, in the column license of "
    "samsemo.tsv and in origins.jsonl, and no terms for the whole corpus were found",
    own_licences=True,
    samples=_samples,
    mix={"SAMSEMO": 5_000},  # 1000 per language
    row_origins=("film",),
    raw_origin=("film", CLIP),
    cite="Bujnowski et al. (2024): SAMSEMO: New dataset for multilingual and multimodal emotion recognition. "
    "Interspeech",
)
