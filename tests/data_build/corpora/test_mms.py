import csv
import io
import json

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_build.corpora import mms
from data_build.corpora.mms import CORPUS
from data_build.reading.corpus import clean
from data_build.reading.raw import list_raw
from mmafflm.errors import Fault
from tests.data_build.raw_rows import fault_of, put, read_all, zipped

DE = '-1\tSchlecht.\t0.9\n0\t"Es ""geht"", so"\t0.8\n1\t"Sehr\ngut"\t0.7\n'
SIGNS = [["negative"], ["neutral"], ["positive"]]


def table(labels, languages=None, texts=None):
    rows = len(labels)
    return pl.DataFrame(
        {
            "_id": range(rows),
            "text": texts or [f"text {number}" for number in range(rows)],
            "label": labels,
            "original_dataset": ["x"] * rows,
            "language": languages or ["de"] * rows,
        }
    )


def parquet(path, frame):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)


def test_the_hub_tsvs(tmp_path):
    put(tmp_path, "data/de/de_x.tsv", DE)
    put(tmp_path, "data/pl/pl_x.tsv", "1\tDobrze\t0.5\n")
    read = read_all(CORPUS, tmp_path)
    assert read.texts == ["Schlecht.", 'Es "geht", so', "Sehr\ngut", "Dobrze"]
    assert read.gold == [*SIGNS, ["positive"]] and not read.bad
    assert [row["language"] for row in read.examples] == ["de", "de", "de", "pl"]
    assert [row["source"] for row in read.examples[:3]] == [f"data/de/de_x.tsv:{row}" for row in (1, 2, 3)]
    assert {(row["subset"], row["task"], row["split"]) for row in read.examples} == {("MMS", "sp", None)}


def test_unusable_tsv_rows_are_kept_out(tmp_path):
    put(tmp_path, "de_x.tsv", DE + "2\tzwei\t1\n1\t \t1\n1\nnan\tx\t1\n1\ta\t1\tb\n1.0\tgut\t1\n")
    put(tmp_path, "ko_x.tsv", "1\tx\t1\n")
    read = read_all(CORPUS, tmp_path)
    assert len(read.texts) == 4 and read.texts[-1] == "gut"
    assert [(row["source"], row["reason"]) for row in read.bad] == [
        ("de_x.tsv:4", "label is not in the label set"),
        ("de_x.tsv:5", "empty text"),
        ("de_x.tsv:6", "empty text"),
        ("de_x.tsv:7", "label is not in the label set"),
        ("de_x.tsv:8", "more than three fields"),
        ("ko_x.tsv:1", "language is not in the benchmark"),
    ]


def test_malformed_quotes_are_read_on_and_swallowed_rows_found(tmp_path):
    put(tmp_path, "de_x.tsv", '-1\t"a" b\t1\n0\tc "d\t1\n1\t"open\t1\n-1\tlost\t1\n0\t"closed"\t1\n1\tlast\t1\n')
    read = read_all(CORPUS, tmp_path)
    assert read.texts == ["a b", 'c "d', "last"]
    assert read.reasons == ["text holds whole rows (broken quoting)"]


@pytest.mark.parametrize("labels", [[0, 1, 2], ["negative", "neutral", "positive"], [-1, 0, 1], [0.0, 1.0, 2.0]])
@pytest.mark.parametrize("form", ["parquet", "arrow stream", "arrow file", "zip"])
def test_the_built_form_in_each_encoding(tmp_path, labels, form):
    frame = table(labels)
    if form == "arrow stream":
        frame.write_ipc_stream(tmp_path / "data-00000-of-00001.arrow")
    elif form == "arrow file":
        frame.write_ipc(tmp_path / "data-00000-of-00001.arrow")
    elif form == "zip":
        out = io.BytesIO()
        frame.write_parquet(out)
        zipped(tmp_path / "mms.zip", {"mms/train.parquet": out.getvalue()})
    else:
        parquet(tmp_path / "train-00000-of-00001.parquet", frame)
    read = read_all(CORPUS, tmp_path)
    assert read.gold == SIGNS and read.texts == ["text 0", "text 1", "text 2"]
    assert read.examples[2]["source"].endswith(":3")


def test_the_encoding_is_told_over_all_files(tmp_path):
    put(tmp_path, "data/de/de_x.tsv", "0\tso\t1\n1\tgut\t1\n")
    with pytest.raises(Fault, match=r"labels 0, 1 in the whole corpus\. Without -1 or 2"):
        read_all(CORPUS, tmp_path)
    put(tmp_path, "data/pl/pl_x.tsv", "0\ttak\t1\n" * (mms.HEAD + 1) + "-1\tnie\t1\n")
    assert read_all(CORPUS, tmp_path).gold[:2] == [["neutral"], ["positive"]]
    put(tmp_path, "data/pl/pl_x.tsv", "0\tnie\t1\n2\ttak\t1\n")
    assert read_all(CORPUS, tmp_path).gold[:2] == [["negative"], ["neutral"]]


def test_unusable_built_rows_are_kept_out(tmp_path):
    parquet(
        tmp_path / "train.parquet",
        table([2, -1, None, 1, 1, 0], ["de", "de", "de", "ko", "de", None], ["\ufeff gut ", "a", "b", "c", None, "d"]),
    )
    read = read_all(CORPUS, tmp_path)
    assert read.texts == ["gut"]
    assert read.reasons == [
        "label is not in the label set",
        "label is not in the label set",
        "language is not in the benchmark",
        "empty text",
        "language is not in the benchmark",
    ]


def test_copies_of_shards_and_of_tsvs_count_once(tmp_path):
    for name in ("a/train.parquet", "b/train.parquet"):
        parquet(tmp_path / "built" / name, table([0, 1, 2]))
    parquet(tmp_path / "built/c/train.parquet", table([2, 1]))
    assert len(read_all(CORPUS, tmp_path / "built").texts) == 5
    put(tmp_path / "tsv", "data/de/de_x.tsv", DE)
    zipped(tmp_path / "tsv" / "mms.zip", {"mms/data/de/de_x.tsv": DE})
    assert len(read_all(CORPUS, tmp_path / "tsv").texts) == 3
    put(tmp_path / "tsv", "old/de_x.tsv", DE + "1\tneu\t1\n")
    with pytest.raises(Fault, match="two different copies"):
        read_all(CORPUS, tmp_path / "tsv")


def test_batches_go_on_counting(tmp_path, monkeypatch):
    monkeypatch.setattr(mms, "BATCH", 2)
    put(tmp_path, "de_x.tsv", "-1\ta\t1\n" + "".join(f"1\tt{number}\t1\n" for number in range(6)))
    read = read_all(CORPUS, tmp_path)
    assert [row["source"] for row in read.examples] == [f"de_x.tsv:{number}" for number in range(1, 8)]
    parts = CORPUS.find(list_raw(tmp_path), {})
    assert [rows.examples.height for rows in CORPUS.read(parts[0], {})] == [2, 2, 2, 1]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("train.parquet", b"PAR1 cut short", "mms: train.parquet: cannot be read"),
        ("data.arrow", b"cut short", "mms: data.arrow: cannot be read"),
        ("de_x.tsv", "-1\tgut\t1\n1\tschön\t1\n".encode("latin-1"), "de_x.tsv:1: not UTF-8"),
        ("de_x.tsv", b"", "labels none in the whole corpus"),
        (
            "reviews.csv",
            b"cat,label,review",
            "mms: none of its files among reviews.csv; expected data/LANG/LANG_NAME.tsv",
        ),
        ("mms.zip", b"PK\x03\x04 cut short", "broken or truncated archive"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, data, message):
    put(tmp_path, name, data)
    assert message in fault_of(CORPUS, tmp_path)


def test_files_of_another_corpus_are_named(tmp_path):
    parquet(tmp_path / "built/other.parquet", pl.DataFrame({"sentence": ["a"], "label": [2]}))
    with pytest.raises(Fault, match="no column text, language in sentence, label"):
        read_all(CORPUS, tmp_path / "built")
    put(tmp_path / "tsv", "data/de/de_x.tsv", DE)
    put(tmp_path / "tsv", "data/de/de_other.tsv", "Was ist?\t5\nGut.\t1, 4\n")
    with pytest.raises(Fault, match=r"de_other.tsv: 2 rows, none with a label -1, 0 or 1, a tab and a text"):
        read_all(CORPUS, tmp_path / "tsv")
    put(tmp_path / "both", "de_x.tsv", DE)
    parquet(tmp_path / "both/train.parquet", table([0, 1, 2]))
    with pytest.raises(Fault, match=r"found both de_x.tsv and train.parquet: the corpus as TSV"):
        read_all(CORPUS, tmp_path / "both")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(clean), min_size=1, max_size=5))
@example(["\x1f\r0", "\ufeff \x1c0\x1e\u3000"])
def test_any_text_comes_through_in_both_forms(tmp_path_factory, texts):
    root = tmp_path_factory.mktemp("raw")
    out = io.StringIO()
    csv.writer(out, delimiter="\t", quoting=csv.QUOTE_ALL).writerows(["-1", text, "0.5"] for text in texts)
    put(root / "tsv", "de_x.tsv", out.getvalue())
    parquet(root / "built" / "train.parquet", table([2] * len(texts), texts=texts))
    built, read = read_all(CORPUS, root / "built"), read_all(CORPUS, root / "tsv")
    assert json.dumps(built.texts) == json.dumps([clean(text) for text in texts])
    assert read.texts == built.texts
