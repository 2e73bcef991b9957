import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_build.corpora.ewect import CORPUS
from data_build.reading.corpus import clean
from mmafflm.errors import Fault
from tests.data_build.raw_rows import fault_of, put, read_all, zipped


def array(*rows):
    return json.dumps(
        [{"id": number, "content": text, "label": label} for number, (text, label) in enumerate(rows, 1)],
        ensure_ascii=False,
    )


def test_labels_splits_and_sources(tmp_path):
    labels = ["happy", "angry", "sad", "fear", "surprise", "neutral", "neural"]
    put(tmp_path, "train/usual_train.txt", array(*((f"文{label}", label) for label in labels)))
    put(tmp_path, "eval/virus_eval_labeled.txt", array(("评", "sad")))
    put(tmp_path, "test/real/virus_test_labeled.txt", array(("测", "fear")))
    read = read_all(CORPUS, tmp_path)
    names = ["happiness", "anger", "sadness", "fear", "surprise", "neutral", "neutral", "sadness", "fear"]
    assert read.gold == [[name] for name in names]
    assert Counter((row["subset"], row["split"], row["task"], row["language"]) for row in read.examples) == {
        ("EWECT_usual", "train", "ec", "zh"): 7,
        ("EWECT_virus", "val", "ec", "zh"): 1,
        ("EWECT_virus", "test", "ec", "zh"): 1,
    }
    assert read.examples[1]["source"] == "train/usual_train.txt:id=2"


@pytest.mark.parametrize("decoys", ["test/mixed", "测试/混淆"])
def test_decoys_spreadsheets_and_unlabelled_files_are_passed_over(tmp_path, decoys):
    put(tmp_path, f"{decoys}/usual_test_labeled.txt", array(("假", "happy")))
    put(tmp_path, "test_real/usual_test_labeled.txt", array(("真", "happy")))
    put(tmp_path, "test_real/usual_test.txt", '[{"id": 1, "content": "真"}]')
    put(tmp_path, "test_real/usual_test_labeled.xlsx", b"PK")
    put(tmp_path, "readme.txt", "x")
    assert read_all(CORPUS, tmp_path).texts == ["真"]


def test_rewritten_copies_give_way_and_equal_copies_count_once(tmp_path):
    put(tmp_path, "data/clean/usual_train.txt", array(("改", "happy")))
    put(tmp_path, "data/raw/usual_train.txt", array(("原", "happy")))
    zipped(tmp_path / "ewect.zip", {"train/usual_train.txt": array(("原", "happy"))})
    assert read_all(CORPUS, tmp_path).texts == ["原"]
    put(tmp_path, "data/raw/usual_train.txt", array(("别", "happy")))
    with pytest.raises(Fault, match="two different copies of one file"):
        read_all(CORPUS, tmp_path)


def test_boms_markup_and_long_posts(tmp_path):
    text = "//@user: [心]#tag# http://t.cn/x ??? " + "长" * 3172
    put(tmp_path, "usual_train.txt", b"\xef\xbb\xbf" + array(("\ufeff 好", "happy"), (text, "sad")).encode())
    assert read_all(CORPUS, tmp_path).texts == ["好", text]


def test_unusable_rows_are_kept_out(tmp_path):
    rows = json.loads(array(("好", "happy"), ("", "sad"), ("坏", "bored"), ("坏", "sad")))
    rows[3]["id"] = 1
    put(tmp_path, "usual_train.txt", json.dumps([*rows, {"id": 9}, {"id": 10, "content": None, "label": "sad"}]))
    read = read_all(CORPUS, tmp_path)
    assert read.texts == ["好"]
    assert [(row["source"], row["reason"]) for row in read.bad] == [
        ("usual_train.txt:id=2", "empty text"),
        ("usual_train.txt:id=3", "label is not in the label set"),
        ("usual_train.txt:row=4", "duplicate id"),
        ("usual_train.txt:row=5", "row without an id, a content or a label"),
        ("usual_train.txt:id=10", "empty text"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("usual_train.txt", b"", "ewect: usual_train.txt: an empty file"),
        ("usual_train.txt", b'[{"id": 1, "content": "', "usual_train.txt:1: not JSON at column 23"),
        ("usual_train.txt", b'[{"id": 1, "text": "x"}]', 'expected a JSON array of {"id", "content", "label"}'),
        ("usual_train.txt", array(("愛", "happy")).encode("big5"), "usual_train.txt:1: not UTF-8"),
        ("usual_test.txt", b'[{"id": 1, "content": "x"}]', "usual_test.txt: has no labels. Use the labelled file"),
        ("usual_train.xlsx", b"PK", ".xlsx files are not read; use usual_train.txt"),
        ("usual_test_labeled.xlsx", b"PK", ".xlsx files are not read; use usual_test_labeled.txt"),
        ("ewect.zip", b"PK\x03\x04 cut short", "broken or truncated archive"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, data, message):
    put(tmp_path, name, data)
    assert message in fault_of(CORPUS, tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(clean), min_size=1, max_size=5))
def test_any_text_comes_through_unchanged(tmp_path_factory, texts):
    root = tmp_path_factory.mktemp("raw")
    put(root, "virus_train.txt", array(*((text, "sad") for text in texts)))
    assert read_all(CORPUS, root).texts == [clean(text) for text in texts]
