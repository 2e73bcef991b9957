import csv
import io
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_build.corpora.onlineshopping import CORPUS, FILE
from data_build.reading.corpus import clean
from mmafflm.errors import Fault
from tests.data_build.raw_rows import fault_of, put, read_all, real, zipped

GOOD = 'cat,label,review\n书籍,1,\ufeff好书\n水果,0,"不""新鲜"", 差"\n热水器,1,\n平板,2,一般\n'


def test_rows_labels_and_lines(tmp_path):
    put(tmp_path, FILE, GOOD)
    read = read_all(CORPUS, tmp_path)
    assert read.texts == ["好书", '不"新鲜", 差']
    assert read.gold == [["positive"], ["negative"]]
    first = read.examples[0]
    assert first["source"] == f"{FILE}:2"
    assert (first["subset"], first["task"], first["language"], first["split"]) == ("onlineshopping", "sp", "zh", None)
    assert [(row["source"], row["reason"]) for row in read.bad] == [
        (f"{FILE}:4", "empty text"),
        (f"{FILE}:5", "label is not 0 or 1"),
    ]


def test_a_bom_and_windows_line_ends_change_nothing(tmp_path):
    put(tmp_path / "a", FILE, GOOD)
    put(tmp_path / "b", FILE, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert read_all(CORPUS, tmp_path / "a") == read_all(CORPUS, tmp_path / "b")


def test_the_zip_and_the_unpacked_file_are_copies(tmp_path):
    zipped(tmp_path / "online_shopping_10_cats.zip", {FILE: GOOD, f"__MACOSX/._{FILE}": "x"})
    assert read_all(CORPUS, tmp_path).examples[0]["source"] == f"online_shopping_10_cats.zip!{FILE}:2"
    put(tmp_path, FILE, GOOD)
    assert read_all(CORPUS, tmp_path).examples[0]["source"] == f"{FILE}:2"
    put(tmp_path / "older", FILE, GOOD + "书籍,1,新\n")
    with pytest.raises(Fault, match="two different copies"):
        read_all(CORPUS, tmp_path)


def test_no_folder_no_parts(tmp_path):
    assert CORPUS.find([], {}) == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (FILE, b"", "an empty file. Download it again"),
        (FILE, b"label,review\n1,a\n", "expected the header cat,label,review, found label,review"),
        (FILE, "cat,label,review\n書籍,1,好\n".encode("big5"), f"{FILE}:2: not UTF-8"),
        ("train.tsv", b"a\tb\n", "none of its files among train.tsv; expected online_shopping_10_cats.csv"),
        ("online_shopping_10_cats.zip", b"PK\x03\x04 cut short", "broken or truncated archive"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, data, message):
    put(tmp_path, name, data)
    assert message in fault_of(CORPUS, tmp_path)


def test_rows_of_another_width_are_kept_out(tmp_path):
    put(tmp_path, FILE, "cat,label,review\n书籍,1\n书籍,1,好,了\n书籍,1,好\n")
    assert read_all(CORPUS, tmp_path).reasons == ["not three fields", "not three fields"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(clean), min_size=1, max_size=5))
def test_any_text_comes_through_unchanged(tmp_path_factory, texts):
    root = tmp_path_factory.mktemp("raw")
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["cat", "label", "review"], *(["书籍", "1", t] for t in texts)])
    put(root, FILE, out.getvalue())
    assert read_all(CORPUS, root).texts == [clean(text) for text in texts]


def test_the_real_corpus_has_the_documented_counts():
    read = read_all(CORPUS, real("onlineshopping"))
    assert len(read.examples) == CORPUS.expected["onlineshopping all"] == 62_773
    assert Counter(row[0] for row in read.gold) == {"positive": 31_727, "negative": 31_046}
    assert [(row["source"].rpartition(":")[2], row["detail"]) for row in read.bad] == [("36427", "热水器")]
    assert not any(text.startswith("\ufeff") for text in read.texts)
