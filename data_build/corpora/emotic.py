"""EMOTIC: people in everyday pictures, each with some of 26 emotions and with valence, arousal and dominance.

Home      http://sunai.uoc.edu/emotic/, https://github.com/rkosti/emotic
Tasks     emotion classification, up to 26 labels (EMOTIC_EC); valence, arousal, dominance (EMOTIC_SI). Pictures
Licence   "only for non-commercial research and education purposes"; by request form
Files     Annotations.mat (CVPR17_Annotations.mat in the older release), and the pictures of emotic.zip or of the older
          cvpr_emotic.zip: {ade20k,emodb_small,framesdb,mscoco}/images/*.jpg, unpacked or not. Without the .mat, we
          read the {train,val,test}.csv of Tandon's mat2py.py. The arrays on Kaggle (annot_arrs_*.csv) are not read
Format    MATLAB 5. In train each person has one annotator. In val and test each has several annotators and the
          combined_* fields, which we read; each annotator's own answers go to origins.jsonl. The field names follow
          the authors' documentation and are not verified; the build stops when one is missing
Labels    valence, arousal and dominance 1..10 become (x - 5.5) / 4.5 with three decimals. This is our choice: the
          prompt asks for -1..1
Picture   by default the person's box, rounded to pixels; with the option `crop: whole`, the whole picture. We do not
          know which of the two the paper used
Sizes     34,320 people (23,706 / 3,334 / 7,280 in train / val / test); `expected` counts those with both annotations
Rows      each person becomes two examples, one per subset. A person with an invalid or missing category, number, box
          or picture is dropped
"""

import ast
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

from data_build.drawing.pictures import emotic
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
from data_build.reading.matlab import listed, load_variables, structs
from data_build.reading.picture_files import by_key, folders, is_picture
from data_build.reading.raw import RawFile, csv_rows, one_of
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Gold, Vad
from mmafflm.errors import Fault

SPLITS = ("train", "val", "test")
MAT = re.compile(r"(CVPR17_)?Annotations\.mat", re.IGNORECASE)
COLUMNS = ("Folder", "Filename", "BBox", "Categorical_Labels", "Continuous_Labels")
DIMENSIONS = ("valence", "arousal", "dominance")
LOW, HIGH = 1, 10  # range of the continuous annotations


class Person(NamedTuple):
    """One person as annotated, unchecked. `fault` is the reason if the annotation's layout alone makes it unusable."""

    source: str
    picture: str  # folder/filename
    box: list[Any]
    categories: list[Any]
    continuous: list[Any]  # in the order of DIMENSIONS
    fault: str = ""
    annotators: tuple[tuple[list[Any], list[Any]], ...] = ()  # categories and continuous of each annotator, if combined


class Unusable(NamedTuple):
    """Why a person cannot be used, and the wrong value."""

    reason: str
    detail: str
    unknown: str | None = None  # a category that is not in the label set


class Found(NamedTuple):
    """A person with a picture and both annotations."""

    picture: RawMedia
    emotions: list[str]
    vad: dict[str, float]


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    if options["crop"] not in ("person", "whole"):
        raise Fault(f"emotic: crop must be person or whole, not {options['crop']!r}. Correct the build config.")
    parts = _annotations(files)
    if files and not parts:
        raise unrecognised("emotic", files, "Annotations/Annotations.mat (annot_arrs_*.csv of Kaggle are not read)")
    paths = ((folders(file), file) for file in files if is_picture(file))
    media = by_key("emotic", (("/".join(path[-3:]), file) for path, file in paths if path[-2:-1] == ("images",)))
    if parts and not media:
        raise Fault(
            f"emotic: {parts[0].files[0].name} was found, but no picture; expected mscoco/images/*.jpg and so on. "
            "Put emotic.zip next to it."
        )
    return [RawPart(part.name, part.files, part.about, media) for part in parts]


def _annotations(files: list[RawFile]) -> list[RawPart]:
    if mats := [file for file in files if MAT.fullmatch(file.basename)]:
        mat = one_of(mats, rank=lambda file: file.basename.lower() != "annotations.mat")
        return [RawPart(split, (mat,), {"split": split}) for split in SPLITS]
    copies = {split: [file for file in files if file.basename.lower() == f"{split}.csv"] for split in SPLITS}
    return [RawPart(split, (one_of(same),), {"split": split}) for split, same in copies.items() if same]


def _read(part: RawPart, options: Mapping[str, Any]) -> Iterator[Example | Bad]:
    file, split = part.files[0], part.about["split"]
    people = _of_mat(file, split) if file.basename.lower().endswith(".mat") else _of_csv(file)
    count, first, usable = 0, None, False
    for person in people:
        for item in _items(person, split, part.media, options["crop"]):
            usable = usable or isinstance(item, Example)
            first = first or item
            yield item
        count += 1
    if isinstance(first, Bad) and not usable:
        raise Fault(
            f"emotic: {file.name}: {count} people in {split}, none usable; the first: {first.reason} ({first.detail}). "
            f"Expected pictures such as {next(iter(part.media))}. Put back the files as distributed."
        )


def _items(person: Person, split: str, media: Mapping[str, str], crop: str) -> Iterator[Example | Bad]:
    """The person's two examples. A fault in one drops both: this reduces 7,280 test people to the published 7,203."""
    found = _checked(person, media, crop)
    for subset, task in (("EMOTIC_EC", "ec"), ("EMOTIC_SI", "si")):
        if isinstance(found, Unusable):
            yield Bad(person.source, found.reason, f"{subset}: {found.detail}"[:200], subset, unknown=found.unknown)
        else:
            gold: Gold = found.emotions if task == "ec" else found.vad
            origin, group = _each_annotator(person), f"picture:{person.picture}"
            yield Example(subset, task, NO_LANGUAGE, split, gold, "", person.source, None, found.picture, origin, group)


def _each_annotator(person: Person) -> dict[str, dict[str, list[Any]]] | None:
    """Each annotator's golds for both tasks, without unusable ones; None if there is no combined annotation."""
    emotions = [gold for one, _ in person.annotators if not isinstance(gold := _emotions(one), Unusable)]
    vads = [vad for _, one in person.annotators if not isinstance(vad := _vad(one), Unusable)]
    return {"annotators": {"ec": emotions, "si": vads}} if person.annotators else None


def _checked(person: Person, media: Mapping[str, str], crop: str) -> Found | Unusable:
    if person.fault:
        return Unusable(person.fault, person.picture)
    if person.picture not in media:
        return Unusable("picture is missing", person.picture)
    box = _box(person.box) if crop == "person" else None
    if isinstance(box, Unusable):
        return box
    emotions, vad = _emotions(person.categories), _vad(person.continuous)
    if isinstance(emotions, Unusable):
        return emotions
    if isinstance(vad, Unusable):
        return vad
    return Found(RawMedia("image", media[person.picture], box), emotions, vad)


def _box(found: list[Any]) -> tuple[int, int, int, int] | Unusable:
    numbers = [_number(number) for number in found]
    edges = [round(number) for number in numbers if number is not None]
    if len(numbers) != 4 or len(edges) != 4:
        return Unusable("box is not four numbers", str(found))
    left, top, right, bottom = edges
    # The box may extend beyond the picture, because the build clips it, but part of it must be inside.
    if right <= max(left, 0) or bottom <= max(top, 0):
        return Unusable("box without an area", str(found))
    return left, top, right, bottom


def _emotions(found: list[Any]) -> list[str] | Unusable:
    grammar = label_set("EMOTIC_EC")
    if not found:
        return Unusable("no category", "")
    names = [grammar.canonical(str(name)) for name in found]
    # neutral is in the benchmark's label set but not in EMOTIC
    strange = [str(word) for word, name in zip(found, names, strict=True) if name in (None, "neutral")]
    if strange:
        return Unusable("category is not in the label set", ", ".join(map(str, found)), strange[0][:200])
    return grammar.sort([name for name in names if name])


def _vad(found: list[Any]) -> dict[str, float] | Unusable:
    grammar = benchmark()["EMOTIC_SI"].task("si").grammar
    assert isinstance(grammar, Vad)
    numbers = [number for value in found if (number := _number(value)) is not None]
    if len(found) != 3 or len(numbers) != 3:
        return Unusable("not three continuous values", str(found))
    if not all(LOW <= number <= HIGH for number in numbers):
        return Unusable(f"continuous annotation outside {LOW}..{HIGH}", str(found))
    middle, half = (LOW + HIGH) / 2, (HIGH - LOW) / 2
    # + 0.0 turns -0.0 into 0.0
    scaled = [round((number - middle) / half, grammar.decimals) + 0.0 for number in numbers]
    return dict(zip(DIMENSIONS, scaled, strict=True))


def _number(value: Any) -> float | None:
    """The finite number, or None for anything else, NaN included."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):  # an absent annotation is an empty array
        return None
    return number if math.isfinite(number) else None


def _of_mat(file: RawFile, split: str) -> Iterator[Person]:
    for i, image in enumerate(listed(_load(file, split))):
        where = f"{file.name}:{split}[{i}]"
        _has(image, ("filename", "folder", "person"), where)
        picture = f"{str(image['folder']).strip().strip('/')}/{str(image['filename']).strip()}"
        for j, person in enumerate(listed(image["person"])):
            yield _person(person, picture, f"{where}.person[{j}]")


def _load(file: RawFile, split: str) -> Any:
    """The variable of the .mat with the split's name. Raises Fault when there is none."""
    variables = load_variables(file, split)
    if split not in variables:
        there = ", ".join(variables) or "none"
        raise Fault(f"emotic: {file.name}: expected the variables {', '.join(SPLITS)}, found {there}.")
    return variables[split]


def _has(struct: Any, fields: Iterable[str], where: str) -> None:
    found = ", ".join(struct) if isinstance(struct, dict) else repr(struct)[:120]
    if not isinstance(struct, dict) or not all(field in struct for field in fields):
        raise Fault(
            f"emotic: {where}: expected the fields {', '.join(fields)}, found {found}. "
            "Put back the file as distributed. If it is unchanged, this reader does not know its layout."
        )


def _person(person: Any, picture: str, where: str) -> Person:
    _has(person, ("body_bbox",), where)
    kind = "combined" if "combined_categories" in person else "annotations"
    _has(person, (f"{kind}_categories", f"{kind}_continuous"), where)
    box, continuous = listed(person["body_bbox"]), listed(person[f"{kind}_continuous"])
    categories = listed(person[f"{kind}_categories"])
    if len(continuous) > 1 or (kind == "annotations" and len(categories) > 1):
        return Person(where, picture, box, [], [], "several annotators and no combined annotation")
    if kind == "annotations" and categories:
        _has(categories[0], ("categories",), f"{where}.annotations_categories")
        categories = listed(categories[0]["categories"])
    if continuous:
        _has(continuous[0], DIMENSIONS, f"{where}.{kind}_continuous")
        continuous = [continuous[0][name] for name in DIMENSIONS]
    seen = [listed(one["categories"]) for one in structs(person.get("annotations_categories", []), ["categories"])]
    felt = [[one[name] for name in DIMENSIONS] for one in structs(person.get("annotations_continuous", []), DIMENSIONS)]
    several = list(zip_longest(seen, felt, fillvalue=list[Any]())) if kind == "combined" else []
    return Person(where, picture, box, categories, continuous, "", tuple(several))


def _of_csv(file: RawFile) -> Iterator[Person]:
    rows = csv_rows(file.name, file.text())
    header = next(rows, None)
    names = [name.strip() for name in header.fields] if header else []
    if missing := [name for name in COLUMNS if name not in names]:
        raise Fault(
            f"emotic: {file.name}:1: no column {', '.join(missing)} in {', '.join(names)[:120] or 'an empty file'}. "
            "Expected a table by Tandon's mat2py.py. It is better to put Annotations.mat there."
        )
    for line, fields in rows:
        source = f"{file.name}:{line}"
        if len(fields) != len(names):
            yield Person(source, ",".join(fields)[:100], [], [], [], f"not {len(names)} fields")
            continue
        row = dict(zip(names, fields, strict=True))
        box, categories, continuous = (_literal(row[name]) for name in COLUMNS[2:])
        fault = "" if None not in (box, categories, continuous) else "not lists in Python's notation"
        picture = f"{row['Folder'].strip().strip('/')}/{row['Filename'].strip()}"
        yield Person(source, picture, box or [], categories or [], continuous or [], fault)


def _literal(text: str) -> list[Any] | None:
    """A list in Python's notation, with nan read as None; returns None when the text is not a list."""
    try:
        value = ast.literal_eval(re.sub(r"(?<!['\w])nan(?!['\w])", "None", text.strip()))
        str(value)  # raises ValueError for 0xfff... of thousands of digits
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, list) else None


_PEOPLE = {"train": 23_266, "val": 3_315, "test": 7_203}

CORPUS = Corpus(
    name="emotic",
    licence="non-commercial research and education only (EMOTIC); by request",
    get="Request the pictures and Annotations.mat with the form on http://sunai.uoc.edu/emotic/.",
    expected={f"{subset} {split}": rows for subset in ("EMOTIC_EC", "EMOTIC_SI") for split, rows in _PEOPLE.items()},
    find=_find,
    read=lambda part, options: batched(_read(part, options)),
    options={"crop": "person"},
    terms="it is handed out by request, for non-commercial research and education only",
    samples=emotic,
    mix={"EMOTIC_EC": 8_000, "EMOTIC_SI": 8_000},
    raw_origin=("source picture", re.compile(r"(.+)")),
    cite="Kosti, Alvarez, Recasens, Lapedriza (2019): Context Based Emotion Recognition using EMOTIC Dataset. "
    "IEEE TPAMI",
)
