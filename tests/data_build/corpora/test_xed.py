import csv
import io
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_build.corpora.xed import CORPUS, LABELS
from data_build.reading.corpus import clean
from mmafflm.errors import Fault
from tests.data_build.raw_rows import fault_of, put, read_all, real, zipped

JUNK = '"Living horrors of the deep\r\nda/1954/4.xml.gz\ten/1954/5.xml.gz\t113\t137"\t4\r\n'
TAB = '"one\ttwo"\t4\r\n'
DE = 'Was ist?\t5\r\n"Er sagte ""nein"" ."\t8, 2\r\n' + JUNK + "Gut .\t 1 , 4 \r\n" + TAB + "Neu.\t9\r\n"

# Counts in the real files: language, csv rows, junk rows, usable rows, rows with each label 1..8
REAL = """
ar 3591 0 3591 1:1013 2:839 3:479 4:566 5:562 6:537 7:615 8:590
bg 6975 4 6971 1:1923 2:1631 3:892 4:1050 5:1174 6:1112 7:1165 8:1239
br 12296 11 12285 1:3229 2:2844 3:1642 4:1817 5:2124 6:2024 7:2118 8:2099
bs 2444 0 2444 1:633 2:571 3:295 4:368 5:428 6:395 7:397 8:399
cs 6512 4 6508 1:1728 2:1616 3:807 4:1035 5:1044 6:1009 7:1106 8:1091
de 5504 4 5500 1:1493 2:1304 3:741 4:788 5:938 6:890 7:904 8:905
el 8084 5 8079 1:2237 2:1957 3:1071 4:1163 5:1369 6:1271 7:1342 8:1368
en 7834 7 7827 1:2078 2:1825 3:1049 4:1171 5:1332 6:1311 7:1383 8:1283
es 11304 2 11302 1:3008 2:2632 3:1483 4:1766 5:1901 6:1811 7:1959 8:1924
fi 8290 1 8289 1:2176 2:2010 3:1015 4:1282 5:1504 6:1244 7:1383 8:1448
fr 7307 4 7303 1:1947 2:1727 3:995 4:1128 5:1256 6:1198 7:1197 8:1260
he 4450 4 4446 1:1244 2:1077 3:551 4:658 5:791 6:679 7:752 8:783
hr 5942 1 5941 1:1494 2:1409 3:724 4:979 5:1029 6:948 7:990 8:1053
hu 5778 0 5778 1:1540 2:1379 3:716 4:926 5:937 6:900 7:989 8:1029
it 6553 3 6550 1:1784 2:1515 3:888 4:1090 5:1012 6:1123 7:1065 8:1105
nl 5334 0 5334 1:1393 2:1338 3:659 4:822 5:878 6:858 7:942 8:927
no 4258 0 4258 1:1052 2:1030 3:501 4:585 5:823 6:679 7:731 8:713
pl 7180 6 7174 1:1965 2:1706 3:964 4:1120 5:1204 6:1118 7:1196 8:1220
pt 7221 0 7221 1:1891 2:1711 3:907 4:1102 5:1260 6:1211 7:1234 8:1258
ro 9475 5 9470 1:2544 2:2180 3:1259 4:1434 5:1563 6:1567 7:1576 8:1608
ru 2378 0 2378 1:564 2:590 3:268 4:424 5:376 6:396 7:416 8:405
sl 2680 0 2680 1:679 2:694 3:278 4:402 5:456 6:416 7:481 8:419
sr 8985 2 8983 1:2366 2:2164 3:1132 4:1282 5:1652 6:1400 7:1519 8:1565
sv 4906 4 4902 1:1274 2:1161 3:592 4:690 5:816 6:830 7:864 8:828
tr 9203 0 9203 1:1790 2:1131 3:447 4:1340 5:1106 6:1146 7:1031 8:1499
"""


def test_quotes_are_undone_labels_renumbered_and_sorted(tmp_path):
    put(tmp_path, "Projections/de-projections.tsv", DE)
    read = read_all(CORPUS, tmp_path)
    assert read.texts == ["Was ist?", 'Er sagte "nein" .', "Gut ."]
    assert read.gold == [["joy"], ["anticipation", "trust"], ["anger", "fear"]]
    assert [row["source"].rpartition(":")[2] for row in read.examples] == ["1", "2", "5"]
    assert {(row["subset"], row["task"], row["language"], row["split"]) for row in read.examples} == {
        ("XED", "ec", "de", None)
    }


def test_junk_rows_are_kept_out_with_their_line(tmp_path):
    put(tmp_path, "Projections/de-projections.tsv", DE)
    assert [(row["source"].rpartition(":")[2], row["reason"]) for row in read_all(CORPUS, tmp_path).bad] == [
        ("3", "text holds a line break (broken quoting)"),
        ("6", "text holds a tab (broken quoting)"),
        ("7", "label is not 0 to 8"),
    ]


def test_the_turkish_file_has_a_header_and_no_quoting(tmp_path):
    put(tmp_path, "Projections/tr-projections2.tsv", 'phrase\temotion\n"Hadi" dedi\t6, 2, 1\n"Eli\t4\n\t5\n "Dur\t8')
    read = read_all(CORPUS, tmp_path)
    assert read.texts == ['"Hadi" dedi', '"Eli', '"Dur']
    assert read.gold == [["sadness", "anger", "anticipation"], ["fear"], ["trust"]]
    assert read.reasons == ["empty text"]
    assert read.examples[0]["source"] == "Projections/tr-projections2.tsv:2"


def test_the_withdrawn_turkish_file_gives_way_to_the_new_one(tmp_path):
    put(tmp_path, "Projections/tr-projections.tsv", "Eski\t1\r\n")
    assert read_all(CORPUS, tmp_path).texts == ["Eski"]
    put(tmp_path, "Projections/tr-projections2.tsv", "phrase\temotion\nYeni\t1")
    assert read_all(CORPUS, tmp_path).texts == ["Yeni"]


def test_english_is_projected_or_annotated(tmp_path):
    put(tmp_path, "Projections/en-projections.tsv", "Projected\t1\n")
    put(tmp_path, "AnnotatedData/en-annotated.tsv", "Annotated\t8, 1\n")
    put(tmp_path, "AnnotatedData/neu_en.txt", "9\tWhat?\n\t\t\t\t\n")
    assert read_all(CORPUS, tmp_path).texts == ["Projected"]
    assert read_all(CORPUS, tmp_path, en_fi="annotated").texts == ["Annotated"]
    with pytest.raises(Fault, match="en_fi must be projections or annotated, not 'both'"):
        read_all(CORPUS, tmp_path, en_fi="both")


def test_languages_outside_the_benchmark_are_passed_over(tmp_path):
    zipped(
        tmp_path / "XED-master.zip",
        {
            "XED-master/Projections/da-projections.tsv": "Hej\t1\r\n",
            "XED-master/Projections/sv-projections.tsv": "Hej\t1",
        },
    )
    assert [row["language"] for row in read_all(CORPUS, tmp_path).examples] == ["sv"]


def test_a_bom_and_line_ends_change_nothing(tmp_path):
    put(tmp_path / "a", "sv-projections.tsv", "Hej då\t1\r\n")
    put(tmp_path / "b", "sv-projections.tsv", b"\xef\xbb\xbf" + "Hej då\t1\n".encode())
    assert read_all(CORPUS, tmp_path / "a") == read_all(CORPUS, tmp_path / "b")
    assert len(read_all(CORPUS, tmp_path).texts) == 1  # two copies of one file


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("Projections/de-projections.tsv", b"", "Projections/de-projections.tsv: an empty file"),
        ("Projections/de-projections.tsv", b"cat,label,review\n1,a,b\n", "expected a text, a tab and labels 1 to 8"),
        ("Projections/de-projections.tsv", "a\t1\nü\t1".encode("latin-1"), "de-projections.tsv:2: not UTF-8"),
        ("online_shopping_10_cats.csv", b"x", "xed: none of its files among online_shopping_10_cats.csv"),
        ("XED-master.tar.gz", b"\x1f\x8b cut short", "broken or truncated archive"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, data, message):
    put(tmp_path, name, data)
    assert message in fault_of(CORPUS, tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t"), min_size=1).filter(clean),
            st.sets(st.sampled_from("12345678"), min_size=1),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_text_and_labels_come_through(tmp_path_factory, rows):
    root = tmp_path_factory.mktemp("raw")
    out = io.StringIO()
    csv.writer(out, delimiter="\t").writerows([text, ", ".join(sorted(labels))] for text, labels in rows)
    put(root, "de-projections.tsv", out.getvalue())
    read = read_all(CORPUS, root)
    assert read.texts == [clean(text) for text, _ in rows]
    assert [set(gold) for gold in read.gold] == [{LABELS[label] for label in labels} for _, labels in rows]


def test_the_real_corpus_has_the_documented_counts():
    read = read_all(CORPUS, real("xed"))
    assert len(read.examples) == CORPUS.expected["XED all"] == 164_416
    good, junk = Counter(row["language"] for row in read.examples), Counter()
    for row in read.bad:
        junk[re.search(r"(\w\w)-projections", row["source"])[1]] += row["reason"] != "empty text"
    # REAL counts the one Turkish row without a text, labelled joy, as usable.
    assert [row["source"] for row in read.bad if row["reason"] == "empty text"] == [
        "Projections/tr-projections2.tsv:5201"
    ]
    good["tr"] += 1
    labels = {language: Counter({"joy": int(language == "tr")}) for language in good}
    for row in read.examples:
        labels[row["language"]].update(row["gold"])
    for line in REAL.strip().splitlines():
        language, rows, bad, usable, *counts = line.split()
        assert (good[language] + junk[language], junk[language], good[language]) == (int(rows), int(bad), int(usable))
        assert [f"{number}:{labels[language][LABELS[number]]}" for number in "12345678"] == counts
