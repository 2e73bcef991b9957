import csv
import io
import json
import zipfile
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_build.corpora.emotic import CORPUS
from data_build.reading.corpus import NO_LANGUAGE
from data_build.reading.raw import list_raw
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from tests.data_build.corpora.emotic_files import (
    BOX,
    alone,
    continuous,
    corpus,
    image,
    mat,
    picture,
    saved,
    several,
    structs,
)
from tests.data_build.raw_rows import fault_of, put, read_all

CATEGORIES = [
    "Affection", "Anger", "Annoyance", "Anticipation", "Aversion", "Confidence", "Disapproval", "Disconnection",
    "Disquietment", "Doubt/Confusion", "Embarrassment", "Engagement", "Esteem", "Excitement", "Fatigue", "Fear",
    "Happiness", "Pain", "Peace", "Pleasure", "Sadness", "Sensitivity", "Suffering", "Surprise", "Sympathy",
    "Yearning",
]  # fmt: skip


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Read .mat files without a worker process, which takes a second each; test_bounded_tables.py tests the worker."""
    monkeypatch.setattr(
        "data_build.reading.matlab.run_guarded", lambda work, tasks, *_: ((one, work(one)) for one in tasks)
    )


def of(read, split):
    return [row for row in read.examples if row["split"] == split]


def test_train_has_one_annotator_and_a_single_person_and_category_are_no_lists(tmp_path):
    people = [alone(["Peace"], (1, 5.5, 10)), alone(["Yearning", "Doubt/Confusion", "Anger"], (5, 6, 7))]
    root = corpus(tmp_path, ["a.jpg", "b.jpg"], train=[image("a.jpg", people[0]), image("b.jpg", *people)])
    rows = of(read_all(CORPUS, root), "train")
    assert [(row["subset"], row["task"], row["source"].partition(":")[2]) for row in rows] == [
        (subset, task, place)
        for place in ("train[0].person[0]", "train[1].person[0]", "train[1].person[1]")
        for subset, task in (("EMOTIC_EC", "ec"), ("EMOTIC_SI", "si"))
    ]
    assert [row["gold"] for row in rows[0::2]] == [["peace"], ["peace"], ["anger", "doubt/confusion", "yearning"]]
    assert rows[1]["gold"] == {"valence": -1.0, "arousal": 0.0, "dominance": 1.0}
    assert rows[5]["gold"] == {"valence": -0.111, "arousal": 0.111, "dominance": 0.333}
    assert {(row["language"], row["text"], row["emotion"]) for row in rows} == {(NO_LANGUAGE, "", None)}
    assert json.loads(rows[0]["media"]) == {"kind": "image", "file": "emotic/mscoco/images/a.jpg", "box": BOX}


def test_val_and_test_take_what_the_annotators_say_together(tmp_path):
    read = read_all(CORPUS, corpus(tmp_path, val=[image("a.jpg", several(["Sadness"], (4.333, 5.667, 6)))]))
    vad = {"valence": -0.259, "arousal": 0.037, "dominance": 0.111}
    assert [row["gold"] for row in of(read, "val")] == [["sadness"], vad]
    assert of(read, "test")[0]["source"] == "Annotations/Annotations.mat:test[0].person[0]"
    assert not read.bad


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("categories", "vad", "box", "reason"),
    [
        ([], (5, 5, 5), BOX, "no category"),
        (["Peace"], None, BOX, "not three continuous values"),
        (["Peace"], (5, nan, 5), BOX, "not three continuous values"),
        (["Peace"], (5, 11, 5), BOX, "continuous annotation outside 1..10"),
        (["Peace", "Calm"], (5, 5, 5), BOX, "category is not in the label set"),
        (["Neutral"], (5, 5, 5), BOX, "category is not in the label set"),
        (["Peace"], (5, 5, 5), [30, 10, 30, 40], "box without an area"),
        (["Peace"], (5, 5, 5), [-30, 10, -2, 40], "box without an area"),
        (["Peace"], (5, 5, 5), [1, 2, 3], "box is not four numbers"),
    ],
)
def test_what_is_missing_for_one_subset_takes_both_away(tmp_path, split, categories, vad, box, reason):
    person = alone if split == "train" else several
    people = [person(["Peace"], (5, 5, 5)), person(categories, vad, box)]
    read = read_all(CORPUS, corpus(tmp_path, **{split: [image("a.jpg", *people)]}))
    assert read.reasons == [reason, reason]
    assert [row["detail"].partition(":")[0] for row in read.bad] == ["EMOTIC_EC", "EMOTIC_SI"]
    assert {row["source"].partition(":")[2] for row in read.bad} == {f"{split}[0].person[1]"}
    assert len(of(read, split)) == 2


def test_a_missing_picture_is_a_reason_and_no_picture_at_all_a_fault(tmp_path):
    images = [image("gone.jpg", several(["Peace"], (5, 5, 5))), image("a.jpg", several(["Peace"], (5, 5, 5)))]
    read = read_all(CORPUS, corpus(tmp_path, test=images))
    assert read.reasons == ["picture is missing"] * 2
    assert read.bad[0]["detail"] == "EMOTIC_EC: mscoco/images/gone.jpg"
    with pytest.raises(Fault, match=r"1 people in test, none usable; the first: picture is missing"):
        read_all(CORPUS, corpus(tmp_path, test=images[:1]))


def test_the_whole_picture_has_no_box_and_needs_none(tmp_path):
    root = corpus(tmp_path, test=[image("a.jpg", several(["Peace"], (5, 5, 5), [0, 0, 0, 0]))])
    rows = of(read_all(CORPUS, root, crop="whole"), "test")
    assert [json.loads(row["media"]) for row in rows] == [{"kind": "image", "file": "emotic/mscoco/images/a.jpg"}] * 2
    with pytest.raises(Fault, match="crop must be person or whole, not 'face'"):
        read_all(CORPUS, root, crop="face")


def test_a_box_is_rounded_and_may_stick_out(tmp_path):
    root = corpus(tmp_path, test=[image("a.jpg", several(["Peace"], (5, 5, 5), [-3.6, 10.4, 400, 80.5]))])
    assert json.loads(of(read_all(CORPUS, root), "test")[0]["media"])["box"] == [-4, 10, 400, 80]


def test_a_picture_without_people_and_zips_of_the_older_release(tmp_path):
    put(tmp_path, "CVPR17_Annotations.mat", mat(test=[image("a.jpg"), image("a.jpg", several(["Peace"], (5, 5, 5)))]))
    with zipfile.ZipFile(tmp_path / "cvpr_emotic.zip", "w") as archive:
        archive.writestr("cvpr_emotic/mscoco/images/a.jpg", picture())
        archive.writestr("__MACOSX/cvpr_emotic/mscoco/images/._a.jpg", b"\0")
    rows = of(read_all(CORPUS, tmp_path), "test")
    assert rows[0]["source"] == "CVPR17_Annotations.mat:test[1].person[0]"
    assert json.loads(rows[0]["media"])["file"] == "cvpr_emotic.zip!cvpr_emotic/mscoco/images/a.jpg"


def test_the_mat_may_stand_in_a_zip_and_goes_before_the_csv(tmp_path):
    with zipfile.ZipFile(tmp_path / "emotic.zip", "w") as archive:
        archive.writestr("Annotations/Annotations.mat", mat())
        archive.writestr("emotic/mscoco/images/a.jpg", picture())
    put(tmp_path, "test.csv", table(["['Pain']", "[5, 5, 5]"]))
    put(tmp_path, "emotic/mscoco/images/a.jpg", picture())  # a copy of the picture in the zip
    rows = of(read_all(CORPUS, tmp_path), "test")
    assert rows[0]["source"] == "emotic.zip!Annotations/Annotations.mat:test[0].person[0]"
    assert json.loads(rows[0]["media"])["file"] == "emotic/mscoco/images/a.jpg"
    put(tmp_path, "emotic/mscoco/images/a.jpg", b"another")
    with pytest.raises(Fault, match=r"two different copies of mscoco/images/a\.jpg"):
        CORPUS.find(list_raw(tmp_path), CORPUS.options)


def table(*rows):
    out = io.StringIO()
    header = "Index,Folder,Filename,Image Size,BBox,Categorical_Labels,Continuous_Labels,Gender,Age"
    place = ["0", "mscoco/images", "a.jpg", "[100, 80]", str(BOX)]
    csv.writer(out).writerows([header.split(","), *([*place, labels, vad, "Male", "Adult"] for labels, vad in rows)])
    return out.getvalue()


def test_the_csv_form_has_lists_in_python_notation(tmp_path):
    put(tmp_path, "emotic/mscoco/images/a.jpg", picture())
    put(tmp_path, "val.csv", table(["['Sympathy', 'Aversion']", "[6.0, 5.0, 10.0]"]))
    good, absent, none = ["['Peace']", "[1, 1, 1]"], ["['Peace']", "[nan, 1.0, 1.0]"], ["[]", "[1, 1, 1]"]
    evil = [["Peace", "[1, 1, 1]"], ["['Peace']", "__import__('os').abort()"]]
    put(tmp_path, "test.csv", table(good, absent, none, *evil) + "too,few\n")
    read = read_all(CORPUS, tmp_path)
    assert of(read, "val")[0]["gold"] == ["aversion", "sympathy"]
    assert of(read, "val")[1]["gold"] == {"valence": 0.111, "arousal": -0.111, "dominance": 1.0}
    assert [row["source"] for row in of(read, "test")] == ["test.csv:2"] * 2
    assert [(row["source"], row["reason"]) for row in read.bad[::2]] == [
        ("test.csv:3", "not three continuous values"),
        ("test.csv:4", "no category"),
        ("test.csv:5", "not lists in Python's notation"),
        ("test.csv:6", "not lists in Python's notation"),
        ("test.csv:7", "not 9 fields"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("Annotations.mat", b"", "Annotations.mat: cannot be read as a .mat of MATLAB 5"),
        ("Annotations.mat", b"<html>" * 100, "Annotations.mat: cannot be read as a .mat of MATLAB 5"),
        ("Annotations.mat", mat()[:-300], "Annotations.mat: cannot be read as a .mat of MATLAB 5"),
        ("Annotations.mat", saved({"training": 1}), "expected the variables train, val, test, found training"),
        ("Annotations.mat", saved({"train": structs({"name": "a"})}), "expected the fields filename, folder, person"),
        ("Annotations.mat", mat(train=[image("a.jpg", {"bbox": 1})]), "expected the fields body_bbox, found bbox"),
        ("train.csv", b"", "train.csv:1: no column Folder"),
        ("train.csv", b"emotion,pixels\n0,1 2\n", "train.csv:1: no column Folder, Filename"),
        ("annot_arrs_train.csv", b"x", "annot_arrs_*.csv of Kaggle are not read"),
        ("fer2013.csv", b"x", "emotic: none of its files among"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, data, message):
    put(tmp_path, name, data)
    put(tmp_path, "mscoco/images/a.jpg", picture())
    assert message in fault_of(CORPUS, tmp_path)


def test_annotations_without_pictures_and_nothing_at_all(tmp_path):
    assert CORPUS.find([], CORPUS.options) == []
    put(tmp_path, "Annotations.mat", mat())
    with pytest.raises(Fault, match=r"Annotations\.mat was found, but no picture"):
        read_all(CORPUS, tmp_path)


def test_several_annotators_of_train_without_a_combined_one_are_no_answer(tmp_path):
    one = alone(["Peace"], (5, 5, 5))
    two = one | {"annotations_continuous": continuous((1, 1, 1), (9, 9, 9))}
    read = read_all(CORPUS, corpus(tmp_path, train=[image("a.jpg", one, two)]))
    assert read.reasons == ["several annotators and no combined annotation"] * 2


def test_every_category_of_emotic_is_a_label_of_the_benchmark(tmp_path):
    read = read_all(CORPUS, corpus(tmp_path, train=[image("a.jpg", alone(CATEGORIES, (5, 5, 5)))]))
    answer = benchmark()["EMOTIC_EC"].task("ec").answer(of(read, "train")[0]["gold"])
    assert len(CATEGORIES) == 26 and answer.startswith("1. happiness, 2. sadness, ") and answer.endswith("26. yearning")


score = st.floats(1, 10) | st.just(nan)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.sampled_from(CATEGORIES), max_size=4), st.tuples(score, score, score)), max_size=5)
)
def test_each_person_gives_two_items_that_the_grammar_can_write(tmp_path_factory, people):
    put(root := tmp_path_factory.mktemp("raw"), "mscoco/images/a.jpg", picture())
    rows = [(["Peace"], (5.0, 5.0, 5.0)), *people]
    put(root, "test.csv", table(*([str(labels), str(list(vad))] for labels, vad in rows)))
    read = read_all(CORPUS, root)
    assert len(read.examples) + len(read.bad) == 2 * len(rows)
    usable = [(labels, vad) for labels, vad in rows if labels and not any(map(np.isnan, vad))]
    assert len(read.examples) == 2 * len(usable)
    for (labels, vad), ec, si in zip(usable, read.examples[::2], read.examples[1::2], strict=True):
        assert {name.lower() for name in labels} == set(ec["gold"])
        assert all(abs(value * 4.5 + 5.5 - v) <= 0.0023 for value, v in zip(si["gold"].values(), vad, strict=True))
        text = benchmark()["EMOTIC_SI"].task("si").answer(si["gold"])
        assert text.count(".") == 3 and "-0.000" not in text
