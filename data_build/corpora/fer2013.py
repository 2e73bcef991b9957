"""FER2013: grey faces of 48 x 48 pixels, collected from the web by emotion words, with one of seven emotions.

Home      https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge
Task      emotion classification, one label; pictures
Licence   the rules of the Kaggle competition; the authors state none
Files     fer2013.csv (in fer2013.tar.gz, itself in the competition's zip), or icml_face_data.csv, or the folders
          {train,test}/CLASS/*.jpg of https://www.kaggle.com/datasets/msambare/fer2013. We read the first that is found.
          The competition's train.csv and test.csv alone are not enough: they do not contain the test labels
Folders   copies name them differently. A picture named PublicTest_... or PrivateTest_... belongs to the test in any
          folder; so do folders PublicTest and PrivateTest, and a validation/ of 3,589 pictures next to a test/ of
          3,589. Any other validation/ is that copy's own split and becomes the validation set. A class folder outside
          the splits, or an unknown class in a split, stops the build
Format    header emotion,pixels,Usage in any order, with blanks in the names; 2304 numbers 0..255 a row, line by line
Sizes     28,709 Training, 3,589 PublicTest, 3,589 PrivateTest. The last two are the test; the build config draws the
          validation set from Training
Blank     11 pictures of Training and 1 of the test are black. The reader of the table removes those of Training. The
          reader of the folders opens no picture; there the build removes them as equal pictures with different labels
Copies    2,271 rows of Training share their pixels with others of Training, 703 with a test row (notebook/fer2013.md)
Order     as in the CSV, or by path; the published order of the 7,178 test rows is unknown
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from data_build.drawing.faces import draw_grey
from data_build.drawing.writer import Files, csv_bytes, take
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
from data_build.reading.picture_files import by_key, folders, is_picture
from data_build.reading.raw import RawFile, one_of, stream_csv
from mmafflm.errors import Fault

TABLES = ("fer2013.csv", "icml_face_data.csv")
COLUMNS = ["emotion", "pixels", "Usage"]
NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # the tables number them 0 to 6
OTHER_NAMES = {"disgusted": "disgust", "fearful": "fear", "surprised": "surprise"}  # used by folders
SPLITS = {"Training": None, "PublicTest": "test", "PrivateTest": "test"}
FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "publictest", "privatetest"), "test"),
}
HALF = 3_589  # pictures of PublicTest, and of PrivateTest
PIXELS = 48 * 48


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    for name in TABLES:
        if copies := [file for file in files if file.basename.lower() == name]:
            return [RawPart(name, (one_of(copies),))]
    if media := by_key("fer2013", (("/".join(folders(file)[-3:]), file) for file in files if is_picture(file))):
        return _of_pictures(media)
    if any(file.basename.lower() in ("train.csv", "test.csv") for file in files):
        raise Fault(
            "fer2013: train.csv and test.csv alone do not contain the labels of the test. "
            "Put fer2013.tar.gz or icml_face_data.csv of the same competition there."
        )
    if files:
        raise unrecognised("fer2013", files, "fer2013.csv, icml_face_data.csv, or train/angry/*.jpg and so on")
    return []


def _of_pictures(media: dict[str, str]) -> list[RawPart]:
    """A part for each split. Raises Fault for a class folder outside the splits or an unknown class in one."""
    places: dict[str, dict[str, str]] = {"train": {}, "val": {}, "test": {}}
    strays: dict[str, str] = {}
    for key, name in media.items():
        place, folder = _place(key), key.split("/")[-2] if "/" in key else ""
        if place is None and _label(folder):
            raise Fault(
                f"fer2013: {name}: its split is unclear. Expected train/{folder}/*.jpg, test/{folder}/*.jpg and so on. "
                "Rename the folder above it, or remove it."
            )
        if place and not _label(folder):
            raise Fault(
                f"fer2013: {name}: the class {folder} is unknown here; expected the folders {', '.join(NAMES)} in each "
                "split. Rename it if it is one of them, or remove it."
            )
        (places[place] if place else strays)[key] = name
    if len(places["val"]) == HALF == len(places["test"]):
        places["test"] |= places.pop("val")
    parts = [RawPart(split, (), {"split": split}, inside) for split, inside in places.items() if inside]
    if not parts:
        return [RawPart("elsewhere", (), {}, strays)]
    return [replace(parts[0], media={**parts[0].media, **strays}), *parts[1:]]


def _place(key: str) -> str | None:
    """The split: test if the picture's name shows it, else its folder's, else train if its name shows it, else None."""
    *above, name = key.split("/")
    usage = name.partition("_")[0].lower()
    if usage in ("publictest", "privatetest") and above:
        return "test"
    folder = FOLDERS.get(re.sub("[ _-]", "", above[0]).lower()) if len(above) == 2 else None
    return folder or ("train" if usage == "training" and above else None)


def _rows(part: RawPart) -> Iterator[Example | Bad]:
    return _of_table(part.files[0]) if part.files else _of_folders(part)


def _of_folders(part: RawPart) -> Iterator[Example | Bad]:
    split = part.about.get("split")
    for key, name in part.media.items():
        label = _label(key.split("/")[-2]) if _place(key) else None
        if label is None:
            yield Bad(name, "picture is not in a folder of a split and a class", key[:200])
        else:
            own = None if split == "train" else split
            yield Example("FER2013", "ec", NO_LANGUAGE, own, [label], "", name, media=RawMedia("image", name))


def _label(name: str) -> str | None:
    return label_set("FER2013").canonical(OTHER_NAMES.get(name.strip().lower(), name))


def _of_table(file: RawFile) -> Iterator[Example | Bad]:
    rows = stream_csv(file)
    header = next(rows, None)
    if header is None:
        raise Fault(f"fer2013: {file.name}: an empty file. Download it again.")
    names = [name.strip() for name in header.fields]
    if sorted(names) != sorted(COLUMNS):
        raise Fault(
            f"fer2013: {file.name}:1: expected the columns {', '.join(COLUMNS)}, found {', '.join(names)[:120]}. "
            "Put back the file as distributed."
        )
    for line, fields in rows:
        source = f"{file.name}:{line}"
        if len(fields) != len(names):
            yield Bad(source, f"not {len(names)} fields", ",".join(fields)[:200])
        else:
            yield _row(dict(zip(names, fields, strict=True)), source)


def _row(row: Mapping[str, str], source: str) -> Example | Bad:
    number, usage, values = row["emotion"].strip(), row["Usage"].strip(), row["pixels"].split()
    if number not in map(str, range(len(NAMES))):
        return Bad(source, "emotion is not 0 to 6", number[:200], unknown=number[:200])
    if usage not in SPLITS:
        return Bad(source, "Usage is not Training, PublicTest or PrivateTest", usage[:200], unknown=usage[:200])
    split = SPLITS[usage]
    if len(values) != PIXELS:
        return Bad(source, f"not {PIXELS} pixels", str(len(values)), split=split)
    try:
        pixels = bytes(map(int, values))
    except ValueError:
        wrong = next(value for value in values if not re.fullmatch("[0-9]{1,3}", value) or int(value) > 255)
        return Bad(source, "pixel outside 0..255", wrong[:200], split=split)
    if split is None and len(set(pixels)) == 1:
        return Bad(source, "blank picture", f"all {pixels[0]}")
    label = _label(NAMES[int(number)])
    assert label is not None
    media = RawMedia("image", grey=b64encode(pixels).decode())
    return Example("FER2013", "ec", NO_LANGUAGE, split, [label], "", source, media=media)


EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def _samples(scale: int, seed: int) -> Files:
    """fer2013.csv. Three of its rows are copies: one plain, one of a test picture, one with a different label."""
    random = Random(f"{seed} fer2013")
    rows: dict[str, list[list[str]]] = {}
    for usage, size in (("Training", 560), ("PublicTest", 42), ("PrivateTest", 42)):
        rows[usage] = []
        for emotion in take(random, list(EMOTIONS), size * scale):
            pixels = draw_grey(emotion, random.uniform(0.5, 1), random).tobytes()
            rows[usage].append([str(EMOTIONS.index(emotion)), " ".join(map(str, pixels)), usage])
    one, other = rows["Training"][0], next(row for row in rows["Training"] if row[0] != rows["Training"][0][0])
    copies = [one, [*rows["PublicTest"][0][:2], "Training"], [one[0], *other[1:]]]
    table = [["emotion", "pixels", "Usage"], *rows["Training"], *copies, *rows["PublicTest"], *rows["PrivateTest"]]
    return {"fer2013.csv": csv_bytes(table)}


CORPUS = Corpus(
    name="fer2013",
    licence="rules of the Kaggle competition (login and accept); none by the authors",
    get="Download fer2013.tar.gz from the Kaggle competition, or https://www.kaggle.com/datasets/msambare/fer2013",
    expected={"FER2013 all": 28_709, "FER2013 test": 7_178},
    find=_find,
    read=lambda part, options: batched(_rows(part)),
    terms="it is given to those who accept the rules of its Kaggle competition; its authors state no licence",
    samples=_samples,
    mix={"FER2013": 9_000},
    splits={"FER2013": {"test": 0, "val": 2_870}},  # it has its own test; the validation rows are drawn from Training
    cite="Goodfellow et al. (2013): Challenges in Representation Learning: A report on three machine learning "
    "contests. ICONIP",
)
