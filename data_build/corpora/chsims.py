"""CH-SIMS (v1): clips of utterances in Chinese films, series and shows, with a sentiment from -1 to 1.

Home      https://github.com/thuiar/MMSA (ACL 2020)
Tasks     sentiment polarity (CHSIMS_SP), sentiment intensity (CHSIMS_SI); clip and transcript; Chinese
Licence   none stated for the data; the code is MIT
Files     label.csv; Raw/<video_id>/<clip_id>.mp4, in folders or archives. meta.csv belongs to v2, another corpus
Format    UTF-8 (sometimes with a BOM), CSV with quoting: video_id, clip_id, text, label, label_T, label_A, label_V,
          annotation, mode. Some copies have no header; the order of the columns differs between releases. clip_id has
          four digits, and a spreadsheet drops its leading zeros
Labels    label (for all modalities together) in steps of 0.2, without floating-point noise; annotation is its sign
Sizes     1,368 / 456 / 457 rows (train / valid / test), two examples each; val and test from memory, not verified
Clips     the build takes the middle of a clip that is longer than the option max_s
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from data_build.drawing.drawn_clips import draw_duration_s, render, silence
from data_build.drawing.writer import Files, Writer, csv_bytes
from data_build.reading.corpus import Bad, Corpus, Example, RawMedia, RawPart, batched, clean, label_set, unrecognised
from data_build.reading.picture_files import by_key
from data_build.reading.raw import CsvRow, RawFile, csv_rows, one_of
from data_build.reading.utterances import MAX_S, columns, is_clip, max_s, no_clip_fits
from mmafflm.errors import Fault

SPLITS = {"train": "train", "valid": "val", "test": "test"}
COLUMNS = ("video_id", "clip_id", "text", "label", "annotation", "mode")
ORDER = ["video_id", "clip_id", "text", "label", "label_T", "label_A", "label_V", "annotation", "mode"]
ROWS = 2_281
VIDEO = re.compile(r"video_\d+")
NOISE = 1e-6  # tolerance for the floating-point noise of levels
UNKNOWN = ("mode is not train, valid or test", "label is not -1, -0.8, ... or 1", "annotation is not a known polarity")
SIGNS = {-1: "negative", 0: "neutral", 1: "positive"}


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    max_s("chsims", options)
    tables = [file for file in files if file.basename.lower() == "label.csv"]
    if not tables and (strange := [file.name for file in files if file.basename.lower() == "meta.csv"]):
        raise Fault(
            f"chsims: {strange[0]} is the table of CH-SIMS v2, and MMAFFBen uses v1. "
            "Put label.csv and Raw/ of CH-SIMS v1 there."
        )
    if not tables:
        if files:
            raise unrecognised("chsims", files, "label.csv and Raw/video_0001/0001.mp4 and so on")
        return []
    media = by_key("chsims", [(key, file) for file in files if is_clip(file) and (key := _key_of(file))])
    if not media:
        raise Fault(
            f"chsims: {tables[0].name} was found, but no clip; expected Raw/video_0001/0001.mp4 and so on. "
            "Put the folder Raw next to it."
        )
    return [RawPart("utterances", (one_of(tables),), media=media)]


def _key_of(file: RawFile) -> str | None:
    """The key video_id/clip_id of a clip, from the last two parts of its path."""
    folders = re.split(r"[/!]", file.name)
    return _key(folders[-2], PurePosixPath(file.basename).stem) if len(folders) > 1 else None


def _key(video: str, clip: str) -> str:
    """The key video_id/clip_id, with the four digits of a clip that a spreadsheet may have changed to 1 or 1.0."""
    return f"{video.strip()}/{re.sub(r'[.]0$', '', clip.strip()).zfill(4)}"


def _rows(part: RawPart, options: Mapping[str, Any]) -> Iterator[Example | Bad]:
    file, longest_s = part.files[0], max_s("chsims", options)
    rows = list(csv_rows(file.name, file.text()))
    names = _names(file, rows)
    _require_v1(file, rows, names)
    seen: set[str] = set()
    for line, fields in rows:
        row = dict(zip(names, fields, strict=False)) if len(fields) == len(names) else {}
        key = _key(row["video_id"], row["clip_id"]) if row else ""
        reason, told = _fault(row, key, seen, part.media)
        seen.add(key)
        yield from _items(row, key, reason, told or ",".join(fields), f"{file.name}:{line}", part.media, longest_s)
    if seen.isdisjoint(part.media):
        raise no_clip_fits("chsims", file, " and ".join(sorted(seen)[:1]) or "a row", part.media)


def _names(file: RawFile, rows: list[CsvRow]) -> list[str]:
    """The names of the columns. Removes the header from the rows if there is one."""
    if not rows or not VIDEO.fullmatch(rows[0].fields[0].strip()):
        names = columns("chsims", file, rows[0] if rows else None, COLUMNS)
        del rows[0]
        return names
    if len(rows[0].fields) != len(ORDER):
        raise Fault(
            f"chsims: {file.name}:{rows[0].line}: without a header expected the {len(ORDER)} fields "
            f"{', '.join(ORDER)}, found {len(rows[0].fields)}: {','.join(rows[0].fields)[:120]}. "
            "Add the header, or put back the file as distributed."
        )
    return ORDER


def _require_v1(file: RawFile, rows: list[CsvRow], names: list[str]) -> None:
    """Raises Fault when label.csv is really the table of v2, which has the same columns."""
    place = names.index("video_id")
    strange = [row for row in rows if len(row.fields) > place and not VIDEO.fullmatch(row.fields[place].strip())]
    if len(rows) > ROWS or len(strange) > len(rows) // 2:
        found = f"{len(rows):,} rows" if len(rows) > ROWS else f"the video {strange[0].fields[place][:80]}"
        raise Fault(
            f"chsims: {file.name}: {found}, while CH-SIMS v1 has {ROWS:,} rows of videos such as video_0001. This is "
            "probably CH-SIMS v2; MMAFFBen uses v1. Put label.csv and Raw/ of CH-SIMS v1 there."
        )


def _fault(row: Mapping[str, str], key: str, seen: set[str], media: Mapping[str, str]) -> tuple[str, str]:
    """Why a row cannot be used, and the wrong value if there is one; both are empty for a usable row."""
    if not row:
        return "the number of fields differs from the header", ""
    label, annotation = _level(row["label"]), _polarity(row["annotation"])
    if key in seen:
        return "duplicate id", key
    if row["mode"].strip().lower() not in SPLITS:
        return UNKNOWN[0], row["mode"]
    if label is None:
        return UNKNOWN[1], row["label"]
    if annotation is None:
        return UNKNOWN[2], row["annotation"]
    if annotation != SIGNS[(label > 0) - (label < 0)]:
        return "annotation and label disagree", f"{row['annotation']}, {row['label']}"
    if not clean(row["text"]):
        return "empty text", key
    return ("", "") if key in media else ("clip is missing", key)


def _level(text: str) -> float | None:
    """One of the 11 levels -1.0, -0.8, ... 1.0, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not abs(value) <= 1 + NOISE:  # written this way round so that NaN is rejected too
        return None
    level = round(value * 5) / 5 + 0.0  # + 0.0 turns -0.0 into 0.0
    return level if abs(value - level) < NOISE else None


def _polarity(annotation: str) -> str | None:
    return label_set("CHSIMS_SP", "sp").canonical(annotation)


def _items(
    row: Mapping[str, str], key: str, reason: str, told: str, source: str, media: Mapping[str, str], longest_s: float
) -> Iterator[Example | Bad]:
    """The row's two examples, or a Bad for each subset if there is a reason."""
    split = SPLITS.get(row["mode"].strip().lower()) if row else None
    unknown = told[:200] if reason in UNKNOWN else None
    for subset, task in (("CHSIMS_SP", "sp"), ("CHSIMS_SI", "si")):
        if reason:
            yield Bad(source, reason, f"{subset}: {told}"[:200], subset, split, unknown)
            continue
        polarity, level = _polarity(row["annotation"]), _level(row["label"])
        assert polarity is not None and level is not None
        clip = RawMedia("video", media[key], max_s=longest_s)
        gold = [polarity] if task == "sp" else level
        film = f"film:{row['video_id'].strip()}"
        yield Example(subset, task, "zh", split, gold, clean(row["text"]), source, media=clip, group=film)


SAMPLE_ROWS = {"train": 300, "valid": 30, "test": 60}
CLIPS = 15  # per video
LEVELS = [-1.0, -0.8, -0.6, -0.4, -0.2, *[0.0] * 5, 0.2, 0.4, 0.6, 0.8, 1.0]  # five of each polarity
SILENT, LONG = ("train", 17), ("test", 17)  # split and number of the row with a silent clip, and with a long one


def _samples(scale: int, seed: int) -> Files:
    """label.csv without a header, as some copies have it, and the clips. Negative rows are sad or angry."""
    writer = Writer(seed, "chsims", "zh")
    random = writer.random
    table: list[list[str]] = []
    files: Files = {}
    for mode, number, level in _made_rows(writer, scale):
        emotion = "neutral" if level == 0 else "happiness" if level > 0 else random.choice(("sadness", "anger"))
        video, clip = f"video_{len(table) // CLIPS + 1:04}", f"{len(table) % CLIPS + 1:04}"
        noisy = level == -0.6 and number % 2  # some labels carry the rounding noise of a sum of floats
        label = "-0.6000000000000001" if noisy else str(level)
        annotation = "Neutral" if level == 0 else "Positive" if level > 0 else "Negative"
        table.append([video, clip, writer.tell(""), label, "0.0", "0.0", str(level), annotation, mode])
        if (mode, number) == SILENT:
            data = silence(1.0)
        elif (mode, number) == LONG:
            data = render((emotion,), abs(level), random, 65, (160, 90), fps=2)
        else:
            data = render((emotion,), abs(level), random, draw_duration_s(random))
        files[f"Raw/{video}/{clip}.mp4"] = data
    return {"label.csv": csv_bytes(table), **files}


def _made_rows(writer: Writer, scale: int) -> Iterator[tuple[str, int, float]]:
    for mode, rows in SAMPLE_ROWS.items():
        for number, level in enumerate(writer.take(LEVELS, rows * scale)):
            yield mode, number, level


CORPUS = Corpus(
    name="chsims",
    licence="none stated",
    get="Download label.csv and Raw/ from SIMS/ behind the Google Drive or Baidu link in https://github.com/thuiar/MMSA.",
    expected={
        f"{subset} {split}": rows
        for subset in ("CHSIMS_SP", "CHSIMS_SI")
        for split, rows in (("train", 1_368), ("val", 456), ("test", 457))
    },
    find=_find,
    read=lambda part, options: batched(_rows(part, options)),
    options={"max_s": MAX_S},
    terms="no licence of the data is stated, and the clips are from films and television",
    samples=_samples,
    mix={"CHSIMS_SP": 1_000, "CHSIMS_SI": 1_000},
    raw_origin=("film or series", re.compile(r"(?:.*/)?([^/!]+)/[^/]+$")),
    cite="Yu et al. (2020): CH-SIMS: A Chinese Multimodal Sentiment Analysis Dataset with Fine-grained "
    "Annotation of Modality. ACL",
)
