import csv
import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_build.corpora.samsemo import CORPUS, split_emotions
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Labels
from mmafflm.errors import Fault
from tests.data_build.raw_rows import put, read_all

HEADER = "utterance_id\tmovie_title\tlanguage\taggregated_emotions\ttranscript\tlicense"
GRAMMAR = benchmark()["SAMSEMO"].task("ec").grammar
assert isinstance(GRAMMAR, Labels)
NAMES = [name for label in GRAMMAR.labels for name in (label.name, *label.aliases)]


def row(key, emotions="neutral", text="Hi", language="EN"):
    return f"{key}\tTitle\t{language}\t{emotions}\t{text}\tCC BY"


def put_all(root, *rows, lists=None, clips=None, end="\n"):
    """Write a table, the split lists (default: all ids in train), and clips (default: one for each id)."""
    keys = [row.split("\t")[0] for row in rows]
    put(root, "samsemo.tsv", end.join([HEADER, *rows, ""]))
    for name, text in (lists or {"train_split_EN": "\n".join(keys)}).items():
        put(root, f"splits/{name}.txt", text)
    for clip in clips or [f"EN/{key}/{key}" for key in keys]:
        put(root, f"data/{clip}.mp4", b"clip")
    return root


def files(read):
    return [json.loads(row["media"])["file"] for row in read.examples]


def test_rows_labels_languages_and_splits(tmp_path):
    rows = [
        row("p1lutabubu_15", "surprise", 'He said "no"'),
        row("wxxccrv7zr_251", "other", "Nein", "DE"),
        row("abcdefghij_1", "Sadness, anger", "아니", "KO"),
    ]
    lists = {
        "train_split_EN": "p1lutabubu_15\n",
        "test_split_DE": "wxxccrv7zr_251",
        "valid_split_KO": "abcdefghij_1\r\n",
    }
    read = read_all(CORPUS, put_all(tmp_path, *rows, lists=lists))
    assert [(r["subset"], r["task"], r["language"], r["split"], r["gold"], r["text"]) for r in read.examples] == [
        ("SAMSEMO", "ec", "en", "train", ["surprise"], 'He said "no"'),
        ("SAMSEMO", "ec", "de", "test", ["other emotions"], "Nein"),
        ("SAMSEMO", "ec", "ko", "val", ["sadness", "anger"], "아니"),
    ]
    assert not read.bad and read.examples[0]["source"] == "samsemo.tsv:2"
    assert json.loads(read.examples[0]["media"]) == {
        "kind": "video",
        "file": "data/EN/p1lutabubu_15/p1lutabubu_15.mp4",
        "max_s": 60.0,
    }


def test_lists_end_with_or_without_a_line_end(tmp_path):
    for ending in ("a_1\nb_2", "a_1\nb_2\n", "\ufeffa_1\r\nb_2\r\n", "a_1 \n\n b_2\n\n"):
        read = read_all(CORPUS, put_all(tmp_path, row("a_1"), row("b_2"), lists={"train_split_EN": ending}))
        assert len(read.texts) == 2 and not read.bad


def test_a_row_is_in_one_split_and_a_list_leads_to_rows(tmp_path):
    lists = {"train_split_EN": "a_1\na_1\nb_2\n", "TEST_split_en": "x_9\nb_2\n"}
    read = read_all(CORPUS, put_all(tmp_path, row("a_1"), row("b_2"), row("c_3"), row("a_1"), lists=lists))
    assert [r["source"] for r in read.examples] == ["samsemo.tsv:2"]
    assert [(r["source"], r["reason"]) for r in read.bad] == [
        ("samsemo.tsv:3", "in the lists of two splits"),
        ("samsemo.tsv:4", "in no split list"),
        ("samsemo.tsv:5", "duplicate id"),
        ("splits/TEST_split_en.txt:1", "in a split list, not in samsemo.tsv"),
    ]
    assert read.bad[0]["detail"] == "b_2: splits/TEST_split_en.txt:2, splits/train_split_EN.txt:3"


@pytest.mark.parametrize(
    ("emotions", "reason"),
    [
        ("joyful", "label is not in the label set"),
        ("anger fear", "label is not in the label set"),  # a separator that we do not know
        ("neutral, bored", "label is not in the label set"),
        ("", "label is not in the label set"),
        (";", "label is not in the label set"),
        ("anger, fear, sadness", "more than two labels"),
    ],
)
def test_emotions_outside_the_vocabulary_are_quoted(tmp_path, emotions, reason):
    read = read_all(CORPUS, put_all(tmp_path, row("a_1", emotions), row("b_2")))
    assert [(r["reason"], r["detail"]) for r in read.bad] == [(reason, emotions)]
    assert len(read.texts) == 1


def test_other_unusable_rows(tmp_path):
    rows = [row("a_1", language="FR"), row("b_2", text=" "), "c_3\tTitle\tEN", row("d_4"), row("e_5")]
    read = read_all(CORPUS, put_all(tmp_path, *rows, clips=["EN/a_1", "EN/b_2", "EN/c_3", "EN/e_5"]))
    assert [(r["reason"], r["detail"]) for r in read.bad] == [
        ("language is not in the benchmark", "FR"),
        ("empty text", "b_2"),
        ("the number of fields differs from the header", "c_3\tTitle\tEN"),
        ("clip is missing or not the only one", "d_4"),
        ("in a split list, not in samsemo.tsv", "c_3"),
    ]


ANY_CASE = st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([name, name.title(), name.upper()]))
JOINED = st.sampled_from([",", ", ", ";", "/", " / ", "|", "&", " & ", "+", " and ", " AND ", ", and "])


@given(st.lists(ANY_CASE, min_size=1, max_size=4), JOINED, st.sampled_from(["{}", " {} ", "[{}]", "({})", '"{}"']))
def test_any_spelling_and_separator_gives_the_names(names, joined, around):
    assert split_emotions(around.format(joined.join(names))) == [name.lower() for name in names]


@given(st.text())
def test_any_text_splits_into_clean_names(text):
    for name in split_emotions(text):
        assert name == name.strip() == name.lower() != "" and not set(name) & set(",;/|&+")


def as_tsv(rows, quoting):
    out = io.StringIO()
    csv.writer(out, delimiter="\t", quoting=quoting, lineterminator="\n").writerows(rows)
    return out.getvalue()


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("extra", ["plain", "two\nlines", "a\ttab"])
def test_a_table_with_quoting_is_read_with_quoting(tmp_path, quoting, extra):
    put_all(tmp_path, row("a_1"), row("b_2"))
    rows = [HEADER.split("\t"), row("a_1", text='He said "no"').split("\t"), row("b_2", text="x").split("\t")]
    rows[2][1] = extra  # another column, the title
    put(tmp_path, "samsemo.tsv", as_tsv(rows, quoting))
    read = read_all(CORPUS, tmp_path)
    assert read.texts == ['He said "no"', "x"] and not read.bad


def test_a_table_without_quoting_is_read_without(tmp_path):
    texts = ['"Well', '"Yes."', 'so "what"', 'end"', "plain"]
    rows = [row(f"a_{number}", text=text) for number, text in enumerate(texts)]
    read = read_all(CORPUS, put_all(tmp_path, *rows, "a_9\tstray", end="\r\n"))
    assert read.texts == texts
    assert read.reasons == ["the number of fields differs from the header", "in a split list, not in samsemo.tsv"]


@pytest.mark.parametrize(
    ("clips", "chosen"),
    [
        (["EN/a_1/a_1", "EN/a_15/a_15", "EN/a_1/a_1_face"], "EN/a_1/a_1"),
        (["EN/a_1/a_1-video", "EN/a_15/a_15"], "EN/a_1/a_1-video"),  # a_15 is another id than a_1
        (["EN/a_1/clip_0", "EN/a_15/clip_0"], "EN/a_1/clip_0"),
        (["EN/a_1/video", "EN/a_15/video"], "EN/a_1/video"),
        (["x/a_1", "longer/a_1"], "x/a_1"),  # copies
        (["EN/a_1/a_1_x", "EN/a_1/a_1_y", "EN/a_15"], None),
        (["EN/a_1/x", "EN/a_1/y", "EN/a_15"], None),
        (["EN/a_15/a_15"], None),
    ],
)
def test_the_clip_is_found_by_its_name_or_its_folder_or_not_at_all(tmp_path, clips, chosen):
    read = read_all(CORPUS, put_all(tmp_path, row("a_1"), row("a_15"), clips=clips))
    found = {r["source"]: name for r, name in zip(read.examples, files(read), strict=True)}
    assert found.get("samsemo.tsv:2") == (f"data/{chosen}.mp4" if chosen else None)


def test_zip_archives_are_listed_and_not_read(tmp_path):
    put_all(tmp_path, row("a_1"), clips=["../README"])
    (tmp_path / "README.mp4").unlink()
    with zipfile.ZipFile(tmp_path / "data/EN.zip", "w") as archive:
        for name in ("image_0.jpg", "audio.wav", "video.mp4"):
            archive.writestr(f"EN/a_1/{name}", b"content")
    path = tmp_path / "data/EN.zip"
    path.write_bytes(path.read_bytes().replace(b"content", b"damaged"))
    assert files(read_all(CORPUS, tmp_path)) == ["data/EN.zip!EN/a_1/video.mp4"]


@pytest.mark.parametrize(
    ("lack", "data", "message"),
    [
        ("splits/train_split_EN.txt", None, "was found, but not splits/train_split_EN.txt and so on."),
        ("data/EN/a_1/a_1.mp4", None, "was found, but not data/EN.zip and so on. Download the whole of"),
        ("samsemo.tsv", None, "none of its files among .*expected samsemo.tsv"),
        ("samsemo.tsv", "", "samsemo.tsv: an empty file"),
        ("samsemo.tsv", "id\ttext\na\tb\n", "expected one column each of utterance_id, language, .*found id, text"),
        ("samsemo.tsv", HEADER + "\n" + row("b_2"), "no row has a clip, though .*a_1.mp4 is there; .*named after b_2"),
    ],
)
def test_what_is_broken_is_named(tmp_path, lack, data, message):
    put_all(tmp_path, row("a_1"))
    (tmp_path / lack).unlink()
    if data is not None:
        put(tmp_path, lack, data)
    with pytest.raises(Fault, match=message):
        read_all(CORPUS, tmp_path)


def test_no_folder_no_parts():
    assert CORPUS.find([], CORPUS.options) == []
