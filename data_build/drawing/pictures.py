"""Made-up EMOTIC in its raw layout: pictures of drawn people, and Annotations.mat, for corpora/emotic.py.

The colour and the mouth of a face show its emotion; the stronger both are, the higher the intensity. Some pictures
imitate problems of the real corpus: see TRAPS.
"""

import io
from collections.abc import Mapping, Sequence
from math import ceil, floor, nan
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data_build.drawing.faces import EMOTIONS, backdrop, draw_face, vad
from data_build.drawing.writer import Files, take

# The categories that a weak and a strong emotion get in the made-up data. Each of the 26 categories occurs.
CATEGORIES = {
    "neutral": (("Disconnection", "Peace"), ("Confidence", "Engagement", "Esteem")),
    "happiness": (("Affection", "Happiness", "Sympathy"), ("Excitement", "Happiness", "Pleasure")),
    "sadness": (("Fatigue", "Sadness", "Yearning"), ("Pain", "Sadness", "Suffering")),
    "anger": (("Annoyance", "Disapproval"), ("Anger", "Annoyance")),
    "fear": (("Disquietment", "Sensitivity"), ("Disquietment", "Fear")),
    "surprise": (("Anticipation", "Doubt/Confusion"), ("Anticipation", "Surprise")),
    "disgust": (("Aversion", "Embarrassment"), ("Aversion", "Disapproval")),
}
STRENGTHS = ((0.1, 0.4), (0.7, 1.0))  # of a weak and of a strong emotion; the gap keeps them distinguishable
DATABASES = {
    "mscoco": "COCO_train2014_{:012}.jpg",
    "emodb_small": "{:017x}.jpg",
    "framesdb": "frame_{}.jpg",
    "ade20k": "ADE_train_{:08}.jpg",
}
EMOTIC_ROWS = {"train": 220, "val": 20, "test": 60}  # persons
# (split, index of the picture in it, from 0) -> what is unusual about it
TRAPS = {
    ("train", 3): "grey",
    ("train", 4): "truncated",
    ("train", 7): "rotated",  # stored sideways, with an EXIF orientation; size and box are those of the upright picture
    ("train", 8): "CMYK",
    ("train", 9): "name",
    ("train", 10): "no numbers",
    ("test", 4): "no categories",
}


Matlab = NDArray[Any]


class Feeling(NamedTuple):
    """What one drawn person feels."""

    emotion: str
    strong: bool
    intensity: float


def emotic(scale: int, seed: int) -> Files:
    """The pictures, and an Annotations.mat that scipy reads as it reads the real one."""
    random = Random(f"{seed} emotic")
    files: Files = {}
    splits = {}
    for split, persons in EMOTIC_ROWS.items():
        cells = [(emotion, strong) for emotion in EMOTIONS for strong in (False, True)]
        feelings = [
            Feeling(*cell, random.uniform(*STRENGTHS[cell[1]])) for cell in take(random, cells, persons * scale)
        ]
        records: list[dict[str, object]] = []
        while feelings:
            number = len(records)
            together = [feelings.pop() for _ in range(min(len(feelings), 2 if number % 6 == 5 else 1))]
            picture, boxes = _scene(random, together)
            trap = TRAPS.get((split, number), "")
            database = list(DATABASES)[number % len(DATABASES)]
            name = DATABASES[database].format(len(files))  # names are unique over all splits
            name = f"frame {number} é.jpg" if trap == "name" else name
            files[f"emotic/{database}/images/{name}"] = _jpeg(picture, trap)
            people = [_person(random, *who, split, trap) for who in zip(together, boxes, strict=True)]
            records.append(
                {
                    "filename": name,
                    "folder": f"{database}/images",
                    "image_size": _structs([{"n_col": picture.width, "n_row": picture.height}]),
                    "original_database": _structs([{"name": database, "info": split}]),
                    "person": _structs(people),
                }
            )
        splits[split] = _structs(records)
    return {"Annotations/Annotations.mat": _mat(splits), **files}


def _scene(random: Random, feelings: Sequence[Feeling]) -> tuple[Image.Image, list[list[int]]]:
    """A picture of people side by side, and their boxes (x1, y1, x2, y2), which may extend beyond the picture."""
    room = random.randint(150, 200)
    picture = backdrop(random, (room * len(feelings), random.randint(170, 220)))
    boxes = []
    for number, feeling in enumerate(feelings):
        side = random.randint(100, 120)
        left, top = room * number + random.randint(8, room - side - 8), random.randint(4, 24)
        coat = random.randint(60, 200)
        shoulders = (left - 8, top + side - 12, left + side + 8, picture.height + side)
        ImageDraw.Draw(picture).ellipse(shoulders, (coat, coat, coat))
        face = draw_face(feeling.emotion, feeling.intensity, side)
        picture.paste(face, (left, top), face)
        beyond = random.random() < 0.15
        boxes.append([left - 8, -6 if beyond else top - 4, left + side + 8, picture.height + (9 if beyond else 0)])
    return picture, boxes


def _jpeg(picture: Image.Image, trap: str) -> bytes:
    out = io.BytesIO()
    if trap == "rotated":
        exif = Image.Exif()
        exif[0x0112] = 6  # orientation: a viewer turns it by 90 degrees to the right
        picture.transpose(Image.Transpose.ROTATE_90).save(out, "JPEG", quality=85, exif=exif)
    else:
        modes = {"grey": "L", "CMYK": "CMYK"}
        picture.convert(modes.get(trap, "RGB")).save(out, "JPEG", quality=85)
    data = out.getvalue()
    return data[: len(data) // 2] if trap == "truncated" else data


def _person(random: Random, feeling: Feeling, box: list[int], split: str, trap: str) -> dict[str, object]:
    """A person with one annotator in train, and with three annotators and their combined annotation in val and test."""
    categories = [] if trap == "no categories" else list(CATEGORIES[feeling.emotion][feeling.strong])
    # the corpus's scale is 1..10, and each annotator gives whole numbers
    scores = [5.5 + 4.5 * value for value in vad(feeling.emotion, feeling.intensity)]
    rounded = [[float(step(score)) for score in scores] for step in (round, floor, ceil)]
    looks = {"gender": random.choice(("Male", "Female")), "age": random.choice(("Kid", "Teenager", "Adult"))}
    if split == "train":
        return {
            "body_bbox": _numbers(box),
            "annotations_categories": _structs([{"categories": _cell(categories)}]),
            "annotations_continuous": _continuous([nan] * 3 if trap == "no numbers" else rounded[0]),
            **looks,
        }
    seen = [categories, categories[:1], categories[-1:]]
    mean = [sum(column) / 3 for column in zip(*rounded, strict=True)]
    return {
        "body_bbox": _numbers(box),
        "annotations_categories": _structs([{"categories": _cell(names)} for names in seen]),
        "combined_categories": _cell(categories),
        "annotations_continuous": np.concatenate([_continuous(numbers) for numbers in rounded], axis=1),
        "combined_continuous": _continuous(mean),
        **looks,
    }


def _continuous(numbers: Sequence[float]) -> Matlab:
    names = ("valence", "arousal", "dominance")
    return _structs([{name: _numbers([number]) for name, number in zip(names, numbers, strict=True)}])


def _structs(rows: Sequence[Mapping[str, object]]) -> Matlab:
    """A Matlab struct array, 1 x n."""
    array = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for column, row in enumerate(rows):
        array[0, column] = tuple(row.values())
    return array


def _cell(texts: Sequence[str]) -> Matlab:
    array = np.empty((1, len(texts)), object)
    array[0, :] = list(texts)
    return array


def _numbers(values: Sequence[float]) -> Matlab:
    """A row of numbers. Matlab stores whole numbers in the smallest type that fits, so a reader's sums may overflow."""
    array = np.array([values], np.float64)
    if not (array == np.floor(array)).all():
        return array
    return array.astype(np.result_type(*(np.min_scalar_type(int(value)) for value in values)))


def _mat(splits: Mapping[str, Matlab]) -> bytes:
    from scipy.io import savemat  # the import takes a quarter of a second, and only made-up EMOTIC needs it

    out = io.BytesIO()
    savemat(out, splits, do_compression=True)
    header = b"MATLAB 5.0 MAT-file, made up by `mmaffin samples`"
    return header.ljust(116) + out.getvalue()[116:]  # scipy would write the time into these bytes
