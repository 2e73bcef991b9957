"""EMOTIC's files in small: Annotations.mat as savemat writes it, and pictures."""

import io
from math import nan

import numpy as np
from PIL import Image
from scipy.io import savemat

from tests.data_build.raw_rows import put

BOX = [10, 20, 60, 70]
LOOKS = {"gender": "Male", "age": "Adult"}
NOTHING = np.empty((0, 0))


def structs(*rows):
    """A Matlab struct array, 1 x n, nested as in loadmat and savemat."""
    array = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for column, row in enumerate(rows):
        array[0, column] = tuple(row.values())
    return array


def cell(names):
    array = np.empty((1, len(names)), object)
    array[0, :] = names
    return array


def numbers(values):
    return np.array([values], np.float64)


def continuous(*triples):
    names = ("valence", "arousal", "dominance")
    return structs(*(dict(zip(names, map(numbers, ([v] for v in triple)), strict=True)) for triple in triples))


def alone(categories, vad, box=BOX):
    """A person in train, with one annotator."""
    return {
        "body_bbox": numbers(box),
        "annotations_categories": structs({"categories": cell(categories)}) if categories else NOTHING,
        "annotations_continuous": continuous(vad) if vad else NOTHING,
        **LOOKS,
    }


def several(combined, vad, box=BOX):
    """A person in val or test, with two annotators; the combined annotation differs from both."""
    return {
        "body_bbox": numbers(box),
        "annotations_categories": structs({"categories": cell(["Pain"])}, {"categories": cell(["Fear", "Pain"])}),
        "combined_categories": cell(combined),
        "annotations_continuous": continuous((1, 1, 1), (nan, nan, nan)),
        "combined_continuous": continuous(vad) if vad else NOTHING,
        **LOOKS,
    }


def image(filename, *people, folder="mscoco/images"):
    return {
        "filename": filename,
        "folder": folder,
        "image_size": structs({"n_col": 100, "n_row": 80}),
        "original_database": structs({"name": "mscoco", "info": "x"}),
        "person": structs(*people) if people else NOTHING,
    }


def saved(variables):
    out = io.BytesIO()
    savemat(out, variables)
    return out.getvalue()


def mat(**splits):
    fill = image("a.jpg", several(["Peace"], (5, 5, 5)))
    return saved({split: structs(*splits.get(split, [fill])) for split in ("train", "val", "test")})


def picture():
    out = io.BytesIO()
    Image.new("L", (100, 80), 90).save(out, "JPEG")
    return out.getvalue()


def corpus(root, names=("a.jpg",), **splits):
    put(root, "Annotations/Annotations.mat", mat(**splits))
    for name in names:
        put(root, f"emotic/mscoco/images/{name}", picture())
    return root
