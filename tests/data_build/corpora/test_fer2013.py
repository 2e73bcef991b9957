import base64
import gzip
import io
import json
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_build.corpora.fer2013 import CORPUS
from data_build.reading.corpus import NO_LANGUAGE
from tests.data_build.raw_rows import fault_of, put, read_all

FACE = bytes(i % 256 for i in range(2304))
LABELS = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]  # 0 to 6 in the tables


def spell(pixels):
    return " ".join(map(str, pixels))


def table(*rows):
    return "emotion,pixels,Usage\n" + "".join(f"{emotion},{pixels},{usage}\n" for emotion, pixels, usage in rows)


def picture(kind="JPEG"):
    out = io.BytesIO()
    Image.frombytes("L", (48, 48), FACE).save(out, kind)
    return out.getvalue()


def test_the_table_gives_labels_splits_and_pixels(tmp_path):
    rows = [(n, spell(FACE), "Training") for n in range(7)]
    put(tmp_path, "fer2013.csv", table(*rows, (3, spell(FACE), "PublicTest"), (6, spell(FACE), "PrivateTest")))
    read = read_all(CORPUS, tmp_path)
    assert read.gold == [[label] for label in LABELS] + [["happiness"], ["neutral"]]
    assert [row["split"] for row in read.examples] == [None] * 7 + ["test"] * 2
    assert {(r["subset"], r["task"], r["language"], r["text"]) for r in read.examples} == {
        ("FER2013", "ec", NO_LANGUAGE, "")
    }
    assert read.examples[8]["source"] == "fer2013.csv:10"
    media = json.loads(read.examples[0]["media"])
    assert base64.b64decode(media.pop("grey")) == FACE and media == {"kind": "image"}


def test_the_other_table_has_another_order_and_blanks_in_its_header(tmp_path):
    put(
        tmp_path, "icml_face_data.csv", f"emotion, Usage, pixels\r\n0,PrivateTest,{spell(FACE)}\r\n".encode("utf-8-sig")
    )
    read = read_all(CORPUS, tmp_path)
    assert (read.gold, read.examples[0]["split"]) == ([["anger"]], "test")


def test_the_table_may_stand_in_its_archive_and_that_in_the_zip_of_the_competition(tmp_path):
    data, inner = table((0, spell(FACE), "PublicTest")).encode(), io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        info = tarfile.TarInfo("fer2013/fer2013.csv")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    put(tmp_path / "a", "fer2013.tar.gz", inner.getvalue())
    (tmp_path / "b").mkdir()
    with zipfile.ZipFile(tmp_path / "b/challenges.zip", "w") as archive:
        archive.writestr("fer2013.tar.gz", inner.getvalue())
        archive.writestr("train.csv", "emotion,pixels\n")
    for root in ("a", "b"):
        read = read_all(CORPUS, tmp_path / root)
        assert read.gold == [["anger"]]
        assert read.examples[0]["source"].endswith("fer2013.tar.gz!fer2013/fer2013.csv:2")


def test_folders_without_a_table(tmp_path):
    for name in ("train/angry/Training_1.jpg", "train/sad/Training_2.jpg", "test/happy/PrivateTest_3.jpg"):
        put(tmp_path, f"archive/{name}", picture())
    put(tmp_path, "archive/test/sample.png", picture("PNG"))
    put(tmp_path, "archive/train/angry/Thumbs.db", b"x")
    read = read_all(CORPUS, tmp_path)
    assert [(row["split"], row["gold"]) for row in read.examples] == [
        (None, ["anger"]),
        (None, ["sadness"]),
        ("test", ["happiness"]),
    ]
    assert json.loads(read.examples[2]["media"]) == {"kind": "image", "file": "archive/test/happy/PrivateTest_3.jpg"}
    assert [(row["source"], row["reason"]) for row in read.bad] == [
        ("archive/test/sample.png", "picture is not in a folder of a split and a class")
    ]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train/angry/Training_1.jpg", "validation/angry/PublicTest_1.jpg", "test/angry/PrivateTest_1.jpg"],
         [None, "test", "test"]),
        (["images/Train/Anger/1.JPG", "images/validation/happiness/2.jfif"], [None, "val"]),
        (["Training/sad/1.jpg", "PublicTest/Surprised/2.jpg", "private_test/Neutral/3.jpe"], [None, "test", "test"]),
        (["angry/Training_1.jpg", "fear/PublicTest_2.jpg", "fear/PrivateTest_3.jpg"], [None, "test", "test"]),
        (["train/angry/a.jpg", "train/fear/PrivateTest_3.jpg"], [None, "test"]),
    ],
)  # fmt: skip
def test_copies_with_other_folders_are_read_whole(tmp_path, names, splits):
    for name in names:
        put(tmp_path, name, picture())
    read = read_all(CORPUS, tmp_path)
    assert [row["split"] for row in read.examples] == splits and not read.bad


def test_the_halves_of_the_test_are_told_by_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr("data_build.corpora.fer2013.HALF", 2)
    for name in ("train/sad/1.jpg", "valid/sad/2.jpg", "valid/sad/3.jpg", "test/sad/4.jpg", "test/sad/5.jpg"):
        put(tmp_path, name, picture())
    assert [row["split"] for row in read_all(CORPUS, tmp_path).examples] == [None] + ["test"] * 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "test/contempt/1.jpg",
            "test/contempt/1.jpg: the class contempt is unknown here; expected the folders angry, ",
        ),
        ("train/0/1.jpg", "the class 0 is unknown here"),  # copies number classes alphabetically or as in the table
        ("holdout/angry/1.jpg", "holdout/angry/1.jpg: its split is unclear. Expected train/angry/*.jpg"),
        ("angry/1.jpg", "angry/1.jpg: its split is unclear."),
    ],
)
def test_a_folder_that_is_not_known_is_named(tmp_path, name, message):
    put(tmp_path, "train/happy/Training_1.jpg", picture())
    put(tmp_path, name, picture())
    assert message in fault_of(CORPUS, tmp_path)


def test_folders_in_a_zip_and_once_more_beside_it_count_once(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("train/fear/Training_1.jpg", picture())
        archive.writestr("test/neutral/PublicTest_2.jpg", picture())
    put(tmp_path, "train/fear/Training_1.jpg", picture())
    read = read_all(CORPUS, tmp_path)
    assert [json.loads(row["media"])["file"] for row in read.examples] == [
        "train/fear/Training_1.jpg",
        "archive.zip!test/neutral/PublicTest_2.jpg",
    ]


def test_the_table_goes_before_the_folders(tmp_path):
    put(tmp_path, "fer2013.csv", table((0, spell(FACE), "PublicTest")))
    put(tmp_path, "test/happy/PublicTest_1.jpg", picture())
    assert read_all(CORPUS, tmp_path).gold == [["anger"]]


@pytest.mark.parametrize(
    ("emotion", "pixels", "usage", "reason"),
    [
        ("7", spell(FACE), "PublicTest", "emotion is not 0 to 6"),
        ("", spell(FACE), "PublicTest", "emotion is not 0 to 6"),
        ("0", spell(FACE[1:]), "PublicTest", "not 2304 pixels"),
        ("0", spell(FACE) + " 0", "Training", "not 2304 pixels"),
        ("0", spell(FACE[1:]) + " 256", "Training", "pixel outside 0..255"),
        ("0", spell(FACE[1:]) + " -1", "Training", "pixel outside 0..255"),
        ("0", spell(FACE[1:]) + " 1.5", "Training", "pixel outside 0..255"),
        ("0", spell(FACE[1:]) + " " + "9" * 5000, "Training", "pixel outside 0..255"),
        ("0", spell(FACE), "Validation", "Usage is not Training, PublicTest or PrivateTest"),
        ("0", spell(bytes(2304)), "Training", "blank picture"),
        ("0", spell(FACE) + ",x", "Training", "not 3 fields"),
    ],
)
def test_a_bad_row_has_a_reason(tmp_path, emotion, pixels, usage, reason):
    put(tmp_path, "fer2013.csv", table((1, spell(FACE), "Training"), (emotion, pixels, usage)))
    read = read_all(CORPUS, tmp_path)
    assert (read.gold, read.reasons) == ([["disgust"]], [reason])
    assert read.bad[0]["source"] == "fer2013.csv:3"


@pytest.mark.parametrize("usage", ["PublicTest", "PrivateTest"])
def test_a_blank_picture_of_the_test_stays(tmp_path, usage):
    put(tmp_path, "fer2013.csv", table((0, spell(bytes(2304)), usage)))
    assert read_all(CORPUS, tmp_path).gold == [["anger"]]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("fer2013.csv", b"", "fer2013.csv: an empty file"),
        ("fer2013.csv", b"emotion,pixels\n0,1\n", "expected the columns emotion, pixels, Usage, found emotion, pixels"),
        ("fer2013.csv", b"emotion,pixels,Usage\n0,\xff,Training\n", "fer2013.csv:1: not UTF-8"),
        ("train.csv", b"emotion,pixels\n", "train.csv and test.csv alone do not contain the labels of the test"),
        ("test.csv", b"pixels\n", "train.csv and test.csv alone do not contain the labels of the test"),
        ("fer2013.tar.gz", gzip.compress(b"x" * 2000, mtime=0)[:-9], "broken or truncated archive"),
        ("labels.txt", b"x", "fer2013: none of its files among labels.txt"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, data, message):
    put(tmp_path, name, data)
    assert message in fault_of(CORPUS, tmp_path)


def test_nothing_there_is_no_fault():
    assert CORPUS.find([], CORPUS.options) == []


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=2304, max_size=2304).filter(lambda pixels: len(set(pixels)) > 1), st.integers(0, 6))
def test_any_pixels_come_through(tmp_path_factory, pixels, label):
    root = tmp_path_factory.mktemp("raw")
    put(root, "fer2013.csv", table((label, spell(pixels), "Training")))
    read = read_all(CORPUS, root)
    assert read.gold == [[LABELS[label]]]
    assert base64.b64decode(json.loads(read.examples[0]["media"])["grey"]) == pixels
