import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_build.corpora.semeval2018 import CORPUS, EC_HEADER
from data_build.reading.corpus import clean
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from tests.data_build.raw_rows import fault_of, put, read_all, zipped

REG = "ID\tTweet\tAffect Dimension\tIntensity Score\n"
OC = "ID\tTweet\tAffect Dimension\tIntensity Class\n"
EC = "ID\tTweet\t" + "\t".join(EC_HEADER) + "\n"
ROOT = "SemEval2018-Task1-all-data"
MYSTERY = "2018-En-mystery-00001\tThe situation makes Leroy feel annoyed.\t{}\t0.000\n"


def reg(*scores, dimension="anger", start=1):
    return REG + "".join(f"2018-En-{n:05}\ttweet {n}\t{dimension}\t{s}\n" for n, s in enumerate(scores, start))


def ec_row(name, *labels):
    return f"{name}\ttweet {name}\t" + "\t".join(str(int(label in labels)) for label in EC_HEADER) + "\n"


def all_data():
    """A small zip with the layout of the all-data zip."""
    valence = "2018-Es-1\tuno\tvalence\t-2: moderately negative emotional state can be inferred\n"
    return {
        f"{ROOT}/English/EI-reg/training/EI-reg-En-anger-train.txt": reg("0.000"),
        f"{ROOT}/English/EI-reg/test-gold/2018-EI-reg-En-fear-test-gold.txt": reg("0.250", dimension="fear"),
        f"{ROOT}/English/EI-reg/test-gold/2018-EI-reg-En-anger-test-gold.txt": reg("0.734") + MYSTERY.format("anger"),
        f"{ROOT}/English/EI-oc/test-gold/2018-EI-oc-En-joy-test-gold.txt": OC
        + "2018-En-1\tyay\tjoy\t3: high amount of joy can be inferred\n",
        f"{ROOT}/English/V-reg/2018-Valence-reg-En-test-gold.txt": reg("0.500", "0.031", "1.000", dimension="valence")
        + MYSTERY.format("valence"),
        f"{ROOT}/English/E-c/2018-E-c-En-dev.txt": EC + ec_row("a", "trust", "joy") + ec_row("b"),
        f"{ROOT}/Spanish/V-oc/2018-Valence-oc-Es-train.txt": OC + valence,
        f"{ROOT}/Arabic/E-c/2018-E-c-Ar-test-gold.txt": EC + ec_row("c", "fear"),
        f"__MACOSX/{ROOT}/English/E-c/._2018-E-c-En-dev.txt": "\0",
    }


def brief(read):
    return [
        (row["subset"].removeprefix("semeval2018_"), row["task"], row["split"], row["gold"]) for row in read.examples
    ]


WANTED = [
    ("english", "ei_reg", "train", 0.0),
    ("english", "ei_reg", "test", 0.734),
    ("english", "ei_reg", "test", 0.25),
    ("english", "ei_oc", "test", 3),
    ("english", "v_reg", "test", 0.0),
    ("english", "v_reg", "test", -0.938),
    ("english", "v_reg", "test", 1.0),
    ("english", "e_c", "val", ["joy", "trust"]),
    ("english", "e_c", "val", ["neutral"]),
    ("arabic", "e_c", "test", ["fear"]),
    ("spanish", "v_oc", "train", -2),
]


def test_the_all_data_zip_in_the_order_of_the_published_test(tmp_path):
    zipped(tmp_path / f"{ROOT}.zip", all_data())
    read = read_all(CORPUS, tmp_path)
    assert brief(read) == WANTED
    assert read.reasons == ["mystery row", "mystery row"]
    assert [row["emotion"] for row in read.examples[:5]] == ["anger", "anger", "fear", "joy", None]
    assert {row["language"] for row in read.examples} == {"en", "ar", "es"}
    assert read.examples[1]["source"].endswith("2018-EI-reg-En-anger-test-gold.txt:2")
    assert all(str(row["gold"]) != "-0.0" for row in read.examples)


def test_unpacked_or_as_tar_or_twice_is_the_same(tmp_path):
    for name, text in all_data().items():
        put(tmp_path / "unpacked", name, text)
        put(tmp_path / "twice", name, text)
    zipped(tmp_path / "twice" / f"{ROOT}.zip", all_data())
    (tmp_path / "tar").mkdir()
    with tarfile.open(tmp_path / "tar" / "data.tar.gz", "w:gz") as archive:
        for name, text in all_data().items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    for folder in ("unpacked", "twice", "tar"):
        assert brief(read_all(CORPUS, tmp_path / folder)) == WANTED


def test_valence_as_it_stands(tmp_path):
    put(tmp_path, "2018-Valence-reg-En-dev.txt", reg("0.031", "0.500", dimension="valence"))
    assert read_all(CORPUS, tmp_path, valence_scale="raw").gold == [0.031, 0.5]
    with pytest.raises(Fault, match="valence_scale must be signed or raw, not 'both'"):
        read_all(CORPUS, tmp_path, valence_scale="both")


@pytest.mark.parametrize(
    "name",
    [
        "EI-reg-En-anger-test-gold.txt",
        "2018-EI-reg-En-anger-gold.txt",
        "2018-EI-reg-En-anger-test.txt",
    ],
)
def test_names_of_test_files_in_the_wild(tmp_path, name):
    put(tmp_path, name, reg("0.734"))
    assert brief(read_all(CORPUS, tmp_path)) == [("english", "ei_reg", "test", 0.734)]


def test_a_test_file_without_labels_gives_way_to_the_gold(tmp_path):
    put(tmp_path, "2018-EI-reg-En-anger-test.txt", reg("NONE", "NONE"))
    assert "every label is NONE. Use the test-gold file" in fault_of(CORPUS, tmp_path)
    put(tmp_path, "2018-EI-reg-En-anger-test-gold.txt", reg("0.734", "0.422"))
    assert read_all(CORPUS, tmp_path).gold == [0.734, 0.422]


def test_a_tweet_is_kept_as_it_is_but_for_its_ends(tmp_path):
    tweets = ['"hola', 'a "b', r"one\ntwo &amp; three &lt;3", " out ", "\ufeffin\ufeffside\u200b", "5 o'clock\xa0x"]
    rows = "".join(f"2018-Es-{n}\t{tweet}\tvalence\t0.500\n" for n, tweet in enumerate(tweets))
    put(tmp_path, "2018-Valence-reg-Es-train.txt", REG + rows)
    wanted = ['"hola', 'a "b', r"one\ntwo &amp; three &lt;3", "out", "in\ufeffside\u200b", "5 o'clock\xa0x"]
    assert read_all(CORPUS, tmp_path).texts == wanted


def test_forty_three_rows_that_open_a_quotation_stay_rows(tmp_path):
    rows = "".join(ec_row(f"2018-Es-{n}", "joy").replace("\ttweet", '\t"tweet') for n in range(43))
    put(tmp_path, "2018-E-c-Es-train.txt", EC + rows)
    assert len(read_all(CORPUS, tmp_path).texts) == 43


def test_a_bom_line_ends_and_copies(tmp_path):
    text = EC + ec_row("a", "joy")
    put(tmp_path, "one/2018-E-c-Ar-dev.txt", b"\xef\xbb\xbf" + text.encode())
    put(tmp_path, "two/2018-E-c-Ar-dev.txt", text.replace("\n", "\r\n"))
    assert read_all(CORPUS, tmp_path).gold == [["joy"]]
    put(tmp_path, "two/2018-E-c-Ar-dev.txt", text + ec_row("b"))
    with pytest.raises(Fault, match="two different copies of one file"):
        read_all(CORPUS, tmp_path)


@pytest.mark.parametrize(
    ("task", "label", "gold"),
    [
        ("EI-oc", "0: no anger can be inferred", 0),
        ("EI-oc", "4: more", None),
        ("EI-oc", "high", None),
        ("EI-reg", "1.000", 1.0),
        ("EI-reg", "1.001", None),
        ("EI-reg", "-0.1", None),
        ("EI-reg", "nan", None),
    ],
)
def test_labels_by_number_and_within_bounds(tmp_path, task, label, gold):
    header = OC if task == "EI-oc" else REG
    put(tmp_path, f"2018-{task}-Ar-anger-dev.txt", f"{header}2018-Ar-1\ttweet\tanger\t{label}\n")
    read = read_all(CORPUS, tmp_path)
    assert (read.gold, read.reasons) == (([], ["label is not valid for the task"]) if gold is None else ([gold], []))


def test_unusable_rows_are_kept_out(tmp_path):
    rows = ["1\ta\tanger\t0.5", "1\tb\tanger\t0.5", "2\t \tanger\t0.5", "3\tc\tjoy\t0.5", "4\td\tanger\t0.5\tx", "5\te"]
    put(tmp_path, "2018-EI-reg-Es-anger-dev.txt", REG + "\n".join(rows))
    put(tmp_path, "2018-E-c-Es-dev.txt", EC + ec_row("6", "joy").replace("\t1", "\t2"))
    read = read_all(CORPUS, tmp_path)
    assert read.texts == ["a"]
    assert read.reasons == [
        "duplicate id",
        "empty text",
        "affect dimension is not anger",
        "not 4 fields",
        "not 4 fields",
        "label is not valid for the task",
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("2018-EI-reg-En-anger-dev.txt", b"", "2018-EI-reg-En-anger-dev.txt: an empty file"),
        ("2018-EI-reg-En-anger-dev.txt", REG.replace("Tweet", "Text").encode(), "found ID | Text | Affect Dimension"),
        ("2018-EI-reg-En-anger-dev.txt", b"10000\tHow\tanger\t0.9\r\n", "no header, as in the pre-release of 2017"),
        ("2018-EI-reg-En-anger-dev.txt", reg("NONE").encode(), "every label is NONE. Use the test-gold file"),
        ("2018-EI-reg-Es-anger-dev.txt", (REG + "1\tqué\t").encode("cp1252"), "-dev.txt:2: not UTF-8 (byte 0xe9)"),
        ("de-projections.tsv", b"a\t1\n", "semeval2018: none of its files among de-projections.tsv"),
        (f"{ROOT}.zip", b"PK\x03\x04 cut short", "broken or truncated archive"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, data, message):
    put(tmp_path, name, data)
    assert message in fault_of(CORPUS, tmp_path)


TWEETS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t"), min_size=1).filter(clean)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TWEETS, st.integers(0, 1000)), min_size=1, max_size=5))
def test_any_tweet_and_score_come_through(tmp_path_factory, rows):
    root = tmp_path_factory.mktemp("raw")
    lines = [f"2018-En-{n}\t{tweet}\tjoy\t{score / 1000:.3f}\n" for n, (tweet, score) in enumerate(rows)]
    put(root, "2018-EI-reg-En-joy-dev.txt", REG + "".join(lines))
    read = read_all(CORPUS, root)
    assert read.texts == [clean(tweet) for tweet, _ in rows]
    assert read.gold == [score / 1000 for _, score in rows]


def test_expected_test_rows_are_the_published_ones():
    for language in ("english", "arabic", "spanish"):
        name = f"semeval2018_{language}"
        assert CORPUS.expected[f"{name} test"] == benchmark()[name].test_rows
