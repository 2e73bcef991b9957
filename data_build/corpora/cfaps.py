"""CFAPS: the revised Chinese Facial Affective Picture System (Gong et al. 2011), posed faces with a rated intensity.

Home      no web page; 中国心理卫生杂志 2011, 25(1):40-46. The authors give it to researchers on request
Tasks     emotion classification, one of seven (CFAPS_EC); intensity of that emotion in 0..1 (CFAPS_EI). Pictures
Licence   we know of no licence; not public
Files     1anger 2disguse 3fear 4sad 5surprise 6neutral 7happy, each with folders male and female of pictures;
          and a rating sheet, csv or tsv (UTF-8 or GB 18030) or xlsx. An .xls must be saved as one of these first
Sheet     we do not know its name and columns. The headings for picture and intensity are our guess; map them in the
          build config (sheet, picture, type, intensity). Any row that holds the mapped headings is a header, so
          titles above it and several worksheets do no harm. The sheet lists pictures by file name, with or
          without the extension
Labels    the folder gives the type; it is checked against the sheet's column if `type` is mapped. The intensity is
          (mean - 1) / 8 of the sheet's unrounded mean rating 1..9. This reproduces, bit for bit, the ten published
          golds that we know, with means truncated (not rounded) to 15 digits, such as 389/83 = 4.6867469879518
Split     the corpus has none. Our choice: of each type 20 % test and 10 % validation, in the order of a hash of the
          file's name, rounded over the types so that 870 pictures give 174 and 87. It is the same for both subsets
Sizes     870 pictures (the authors' own numbers add up to 900, with 150 of surprise where 120 would fit)
"""

import hashlib
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import islice
from random import Random
from typing import Any, NamedTuple

from data_build.drawing.faces import draw
from data_build.drawing.writer import Files, csv_bytes
from data_build.reading.corpus import (
    NO_LANGUAGE,
    Bad,
    Corpus,
    Example,
    RawMedia,
    RawPart,
    batched,
    label_set,
    unrecognised,
)
from data_build.reading.picture_files import SUFFIXES, by_key, folders, is_picture
from data_build.reading.raw import RawFile, csv_rows, one_of
from data_build.reading.spreadsheet import worksheets
from mmafflm.errors import Fault

FOLDER = re.compile(r"[1-7]?[ ._-]*(\D+)")
TABLES = (".csv", ".tsv", ".xlsx")
LOW, HIGH = 1, 9  # range of a mean rating
TEST, VAL = 5, 10  # one picture in 5 is test, one in 10 validation


class Face(NamedTuple):
    """One picture: its raw file, its name as a key into the sheet, and its folder's type."""

    file: str
    stem: str
    type: str


class Rating(NamedTuple):
    """One row of the sheet. `type` is empty when the config maps no column to it."""

    source: str
    picture: str
    intensity: str
    type: str


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    for key in ("picture", "intensity"):
        if not isinstance(options[key], str):
            raise Fault(
                f"cfaps: {key} must be a heading of the rating sheet, not {options[key]!r}. Correct the build config."
            )
    media = by_key("cfaps", (("/".join(folders(file)[-3:]), file) for file in files if is_picture(file)))
    if files and not any(map(_type, media)):
        raise unrecognised("cfaps", files, "1anger/male/*, 1anger/female/* and so on, and the rating sheet")
    return [RawPart("pictures", _sheet(files, options["sheet"]), media=media)] if media else []


def _type(key: str) -> str | None:
    """The emotion that the innermost such folder is named after, as 1anger in 1anger/male/AM1.bmp; None without one."""
    matches = (FOLDER.fullmatch(folder) for folder in reversed(key.split("/")[:-1]))
    return next((label for match in matches if match and (label := _label(match[1]))), None)


def _label(name: str) -> str | None:
    return label_set("CFAPS_EC").canonical(name)


def _sheet(files: list[RawFile], name: str | None) -> tuple[RawFile, ...]:
    """The rating sheet, or (), because CFAPS_EC needs no sheet. Raises Fault for several, an .xls or a wrong name."""
    tables = [file for file in files if file.basename.lower().endswith(TABLES) and not file.basename.startswith("~$")]
    chosen = [file for file in tables if name in (None, file.basename, file.name)]
    found = ", ".join(sorted({file.basename for file in tables})) or "none"
    if len({file.basename for file in chosen}) > 1:
        raise Fault(
            f"cfaps: several tables: {found}. Name the rating sheet in the build config: corpora: cfaps: sheet."
        )
    old = [file for file in files if file.basename.lower().endswith(".xls")]
    if old and not chosen:
        raise Fault(f"cfaps: {old[0].name}: .xls files cannot be read. Save it as .xlsx or as .csv in UTF-8.")
    if name is not None and not chosen:
        raise Fault(f"cfaps: no rating sheet {name} ({', '.join(TABLES)}); found: {found}. Correct the build config.")
    return (one_of(chosen),) if chosen else ()


def _rows(part: RawPart, options: Mapping[str, Any]) -> Iterator[Example | Bad]:
    faces, bad = _faces(part.media)
    yield from bad
    ratings: dict[str, list[Rating]] = {}
    for file in part.files:
        for rating in _ratings(file, options):
            ratings.setdefault(_stem(rating.picture), []).append(rating)
    splits = split_by_hash(faces)
    for face in faces:
        items = _items(face, splits[face.stem], ratings.pop(face.stem, []))
        yield from items if part.files else islice(items, 1)  # without a sheet there are no rows of CFAPS_EI
    for rating in (rating for rows in ratings.values() for rating in rows):
        yield Bad(rating.source, "rating without a picture", rating.picture[:200], "CFAPS_EI")


def _faces(media: Mapping[str, str]) -> tuple[list[Face], list[Bad]]:
    """Every usable picture once; and for each unusable picture one Bad per subset."""
    faces: dict[str, Face] = {}
    bad = []
    for key, name in media.items():
        stem, label = _stem(key), _type(key)
        if label is None:
            folder = key.split("/")[0] if key.count("/") == 2 else None  # a type's folder holds one folder for each sex
            bad += _twice(name, "outside the folders of the seven types", key, folder)
        elif stem in faces:
            # two versions of one picture must not end up in train and test
            bad += _twice(name, "another picture has this name", faces[stem].file)
        else:
            faces[stem] = Face(name, stem, label)
    return list(faces.values()), bad


def _twice(source: str, reason: str, detail: str, unknown: str | None = None) -> list[Bad]:
    return [
        Bad(source, reason, f"{subset}: {detail}"[:200], subset, None, unknown) for subset in ("CFAPS_EC", "CFAPS_EI")
    ]


def _stem(name: str) -> str:
    """A picture's name in comparable form: without folders and extension, full-width letters as ASCII, case ignored."""
    base = unicodedata.normalize("NFKC", name).replace("\\", "/").rpartition("/")[2].strip().casefold()
    suffix = next((suffix for suffix in SUFFIXES if base.endswith(suffix)), "")
    return base.removesuffix(suffix).strip()


def split_by_hash(faces: list[Face]) -> dict[str, str]:
    """train, val or test for each stem: see Split in the card. Every picture counts, rated or not."""
    n, seen, splits = len(faces), 0, {}
    for label in sorted({face.type for face in faces}):
        stems = [face.stem for face in faces if face.type == label]
        stems.sort(key=lambda stem: hashlib.blake2b(stem.encode()).digest())
        upto = seen + len(stems)
        # systematic rounding: this type makes up for what rounding took from or gave to the types before it
        test, val = (upto * (n // part) // n - seen * (n // part) // n for part in (TEST, VAL))
        for place, stem in enumerate(stems):
            splits[stem] = "test" if place < test else "val" if place < test + val else "train"
        seen = upto
    return splits


def _items(face: Face, split: str, ratings: list[Rating]) -> Iterator[Example | Bad]:
    """The picture's rows: one of CFAPS_EC and one of CFAPS_EI, or the reasons why not."""
    other = next((rating for rating in ratings if rating.type and _label(rating.type) != face.type), None)
    if other is not None:
        yield from _twice(
            face.file, "the sheet's type differs from the folder's", f"{face.type}, {other.type} in {other.source}"
        )
        return
    media = RawMedia("image", face.file)
    yield Example("CFAPS_EC", "ec", NO_LANGUAGE, split, [face.type], "", face.file, media=media)
    gold = _gold(ratings)
    if isinstance(gold, str):
        found = ", ".join(f"{rating.intensity!r} in {rating.source}" for rating in ratings) or face.stem
        yield Bad(face.file, gold, f"CFAPS_EI: {found}"[:200], "CFAPS_EI", split)
    else:
        yield Example("CFAPS_EI", "ei", NO_LANGUAGE, split, gold, "", face.file, face.type, media)


def _gold(ratings: list[Rating]) -> float | str:
    """The intensity in 0..1, or the reason why there is no intensity."""
    if not ratings:
        return "picture without a rating"
    if len({rating.intensity for rating in ratings}) > 1:
        return "several ratings of one picture"
    try:
        mean = float(ratings[0].intensity)
    except ValueError:
        return "rating is not a number"
    return (mean - LOW) / (HIGH - LOW) if LOW <= mean <= HIGH else f"rating outside {LOW}..{HIGH}"


def _ratings(file: RawFile, options: Mapping[str, Any]) -> Iterator[Rating]:
    wanted = [options[key] for key in ("picture", "intensity", "type") if options[key]]
    first, found = None, False
    for rows in worksheets(file) if file.basename.lower().endswith(".xlsx") else [_table(file)]:
        header: list[str] = []
        for source, fields in rows:
            first = first or fields
            if all(name in fields for name in wanted):
                header, found = fields, True
            elif header:
                row = dict(zip(header, [*fields, *[""] * len(header)], strict=False))
                kind = row[options["type"]] if options["type"] else ""
                yield Rating(source, row[options["picture"]], row[options["intensity"]], kind)
    if not found:
        raise Fault(
            f"cfaps: {file.name}: expected a row with the headings {', '.join(map(str, wanted))}, found "
            f"{', '.join(first or [])[:120] or 'an empty sheet'}. Map the columns in the build config: "
            "corpora: cfaps: picture, type, intensity."
        )


def _table(file: RawFile) -> Iterator[tuple[str, list[str]]]:
    """Yield the source (file and line) and the fields of each non-empty row of a csv or tsv."""
    text = file.text()
    delimiter = max("\t,;", key=text.count)
    for line, fields in csv_rows(file.name, text, delimiter):
        if any(stripped := [field.strip() for field in fields]):
            yield f"{file.name}:{line}", stripped


FOLDERS = {  # spelled as in the corpus
    "1anger": ("A", "愤怒", "anger"),
    "2disguse": ("D", "厌恶", "disgust"),
    "3fear": ("F", "恐惧", "fear"),
    "4sad": ("SA", "悲伤", "sadness"),
    "5surprise": ("SU", "惊讶", "surprise"),
    "6neutral": ("N", "平静", "neutral"),
    "7happy": ("H", "高兴", "happiness"),
}


def _samples(scale: int, seed: int) -> Files:
    """Seven folders of JPEG pictures, one of them a palette PNG, and the rating sheet."""
    random = Random(f"{seed} cfaps")
    files: Files = {}
    sheet = [["图片", "类型", "认同度", "强度"]]
    for folder, (code, kind, emotion) in FOLDERS.items():
        for sex in ("male", "female"):
            for number in range(1, 10 * scale + 1):
                stem = f"{code}{sex[0].upper()}{number}"
                raters = random.randint(77, 100)  # raters who agreed with the type
                mean = round(raters * random.uniform(2, 9)) / raters
                sheet.append([stem, kind, str(raters), f"{mean:.15g}"])  # 15 digits, as in a spreadsheet
                picture = draw(emotion, (mean - 1) / 8, random, (130, 150))
                palette = stem == "HF1"
                out = io.BytesIO()
                if palette:
                    picture.quantize(64).save(out, "PNG")
                else:
                    picture.save(out, "JPEG", quality=85)
                files[f"{folder}/{sex}/{stem}.{'png' if palette else 'jpg'}"] = out.getvalue()
    return {"ratings.csv": csv_bytes(sheet), **files}


CORPUS = Corpus(
    name="cfaps",
    licence="none known; handed out to researchers on request",
    get="Ask the authors (Gong et al. 2011); put the seven folders and the rating sheet into RAW/cfaps.",
    expected={
        f"{subset} {split}": rows
        for subset in ("CFAPS_EC", "CFAPS_EI")
        for split, rows in (("train", 609), ("val", 87), ("test", 174))
    },
    find=_find,
    read=lambda part, options: batched(_rows(part, options)),
    options={"sheet": None, "picture": "图片", "type": None, "intensity": "强度"},
    terms="no licence is known, and its authors give it only on request",
    samples=_samples,
    mix={"CFAPS_EC": 500, "CFAPS_EI": 500},
    cite="Gong, Huang, Wang, Luo (2011): Revision of the Chinese Facial Affective Picture System. Chinese "
    "Mental Health Journal 25(1)",
)
