import io
import json
import zipfile
from collections import Counter
from decimal import ROUND_DOWN, Context, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from PIL import Image

from data_build.corpora.cfaps import CORPUS, Face, split_by_hash
from data_build.reading.corpus import NO_LANGUAGE
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from tests.data_build.raw_rows import fault_of, put, read_all

# The ten golds that the published notebook prints, and a mean k/n of n raters for each.
GOLDS = {
    "389/83": "0.460843373493975", "580/79": "0.7927215189873412", "477/82": "0.6021341463414625",
    "566/77": "0.7938311688311688", "408/76": "0.5460526315789462", "510/72": "0.7604166666666663",
    "446/82": "0.5548780487804875", "411/72": "0.5885416666666663", "488/84": "0.601190476190475", "406/80": "0.509375",
}  # fmt: skip
COUNTS = {"anger": 74, "disgust": 47, "fear": 64, "sadness": 95, "surprise": 120, "neutral": 222, "happiness": 248}
SHEET = "图片,类型,认同度,强度\n"


def picture(kind="PNG"):
    out = io.BytesIO()
    Image.new("L", (26, 30), 90).save(out, kind)
    return out.getvalue()


def faces(root, *names):
    for name in names:
        put(root, name, picture())
    return root


def ei(read):
    return {row["source"].rpartition("/")[2]: row["gold"] for row in read.examples if row["subset"] == "CFAPS_EI"}


def test_the_folder_gives_the_type_and_the_sheet_the_intensity(tmp_path):
    faces(tmp_path, "CFAPS/1anger/male/AM1.bmp", "CFAPS/2disguse/female/DF1.bmp", "CFAPS/5surprise/female/SUF19.bmp")
    put(tmp_path, "CFAPS/ratings.csv", SHEET + "AM1,愤怒,90,5\nDF1.bmp,厌恶,80,9\n SUF19 ,惊讶,70,1\n")
    read = read_all(CORPUS, tmp_path)
    assert [(row["subset"], row["task"], row["emotion"], row["gold"]) for row in read.examples] == [
        ("CFAPS_EC", "ec", None, ["anger"]),
        ("CFAPS_EI", "ei", "anger", 0.5),
        ("CFAPS_EC", "ec", None, ["disgust"]),
        ("CFAPS_EI", "ei", "disgust", 1.0),
        ("CFAPS_EC", "ec", None, ["surprise"]),
        ("CFAPS_EI", "ei", "surprise", 0.0),
    ]
    assert {(row["language"], row["text"]) for row in read.examples} == {(NO_LANGUAGE, "")}
    assert json.loads(read.examples[1]["media"]) == {"kind": "image", "file": "CFAPS/1anger/male/AM1.bmp"}
    ask = benchmark()["CFAPS_EI"].task("ei").ask
    assert ask(read.examples[5]["text"], read.examples[5]["emotion"]).endswith("Emotion E: surprise.")


def test_all_seven_folders(tmp_path):
    folders = ["1anger", "2disguse", "3fear", "4sad", "5surprise", "6neutral", "7happy"]
    faces(tmp_path, *(f"{folder}/male/X{number}.jpg" for number, folder in enumerate(folders)))
    assert [gold[0] for gold in read_all(CORPUS, tmp_path).gold] == [
        "anger", "disgust", "fear", "sadness", "surprise", "neutral", "happiness",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_published_golds_come_out_bit_for_bit(tmp_path, kind):
    cut_off = Context(prec=15, rounding=ROUND_DOWN)  # %.15g would round, and five of the ten would differ
    means = [float(cut_off.divide(*map(Decimal, mean.split("/")))) for mean in GOLDS]
    faces(tmp_path, *(f"3fear/male/FM{number}.jpg" for number in range(10)))
    if kind == "csv":
        put(tmp_path, "sheet.csv", "图片,强度\n" + "".join(f"FM{n},{mean:.15g}\n" for n, mean in enumerate(means)))
    else:
        workbook(tmp_path / "sheet.xlsx", [["图片", "强度"], *([f"FM{n}", mean] for n, mean in enumerate(means))])
    task = benchmark()["CFAPS_EI"].task("ei")
    assert [task.answer(gold, "fear") for gold in ei(read_all(CORPUS, tmp_path)).values()] == list(GOLDS.values())


def workbook(path, *sheets):
    book = Workbook()
    book.remove(book.active)
    for rows in sheets:
        sheet = book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(path)


def test_titles_and_several_worksheets_of_an_xlsx(tmp_path):
    faces(tmp_path, "4sad/male/SAM1.jpg", "7happy/male/HM1.jpg")
    workbook(
        tmp_path / "等级.xlsx",
        [["说明"], ["强度", "1 到 9"]],
        [["悲伤"], [None], ["图片", None, "强度"], ["SAM1", 7, 3]],
        [["强度", "图片"], [9, "HM1"], [None, None]],
    )
    read = read_all(CORPUS, tmp_path)
    assert (ei(read), read.bad) == ({"SAM1.jpg": 0.25, "HM1.jpg": 1.0}, [])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("s.csv", "图片,强度\nＨＭ1.JPG,3\n".encode()),
        ("s.csv", b"\xef\xbb\xbf" + "图片,强度\r\nhm1,3\r\n".encode()),
        ("s.csv", "图片,强度\r\n7happy\\male\\HM1.jpg,3\r\n".encode("gb18030")),
        ("s.tsv", "强度\t图片\n3\tHM1\n".encode()),
        ("s.csv", "图片;强度\nHM1;3.0\n".encode()),
    ],
)
def test_encodings_delimiters_and_spellings(tmp_path, name, data):
    faces(tmp_path, "7happy/male/HM1.jpg")
    put(tmp_path, name, data)
    assert ei(read_all(CORPUS, tmp_path)) == {"HM1.jpg": 0.25}


def test_columns_are_mapped_by_the_build_config(tmp_path):
    faces(tmp_path, "7happy/male/HM1.jpg", "4sad/female/SAF1.jpg")
    put(tmp_path, "norms.csv", "No,Emotion,Intensity\nHM1,高兴,3\nSAF1,惊讶,5\n")
    put(tmp_path, "readme.csv", "a,b\n")
    options = {"sheet": "norms.csv", "picture": "No", "type": "Emotion", "intensity": "Intensity"}
    read = read_all(CORPUS, tmp_path, **options)
    assert ei(read) == {"HM1.jpg": 0.25}
    assert read.reasons == ["the sheet's type differs from the folder's"] * 2
    assert read.bad[0]["detail"] == "CFAPS_EC: sadness, 惊讶 in norms.csv:3"
    assert len(read.examples) == 2
    with pytest.raises(Fault, match=r"several tables: norms\.csv, readme\.csv"):
        read_all(CORPUS, tmp_path)
    with pytest.raises(Fault, match=r"no rating sheet x\.csv"):
        read_all(CORPUS, tmp_path, sheet="x.csv")
    with pytest.raises(Fault, match="intensity must be a heading of the rating sheet, not None"):
        read_all(CORPUS, tmp_path, **options | {"intensity": None})


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("", "picture without a rating"),
        ("AM1,0.99\n", "rating outside 1..9"),
        ("AM1,9.01\n", "rating outside 1..9"),
        ("AM1,nan\n", "rating outside 1..9"),
        ("AM1,\n", "rating is not a number"),
        ("AM1\n", "rating is not a number"),
        ("AM1,5\nAM1,6\n", "several ratings of one picture"),
    ],
)
def test_without_a_rating_the_type_still_counts(tmp_path, rows, reason):
    faces(tmp_path, "1anger/male/AM1.jpg", "1anger/male/AM2.jpg")
    put(tmp_path, "s.csv", "图片,强度\nAM2,5\n" + rows)
    read = read_all(CORPUS, tmp_path)
    assert [row["subset"] for row in read.examples] == ["CFAPS_EC", "CFAPS_EC", "CFAPS_EI"]
    assert [(row["source"], row["reason"]) for row in read.bad] == [("1anger/male/AM1.jpg", reason)]


def test_no_sheet_at_all_leaves_the_types(tmp_path):
    read = read_all(CORPUS, faces(tmp_path, "1anger/male/AM1.jpg"))
    assert (read.gold, read.reasons) == ([["anger"]], [])  # CFAPS_EI has no rows: the build reports it


def test_a_rating_without_a_picture_and_an_average_are_told(tmp_path):
    faces(tmp_path, "1anger/male/AM1.jpg")
    put(tmp_path, "s.csv", "图片,强度\nAM1,5\nAM2,5\n,5.0\n")
    read = read_all(CORPUS, tmp_path)
    assert [(row["source"], row["reason"], row["detail"]) for row in read.bad] == [
        ("s.csv:3", "rating without a picture", "AM2"),
        ("s.csv:4", "rating without a picture", ""),
    ]


def test_two_pictures_of_one_name_and_one_outside_the_folders(tmp_path):
    faces(tmp_path, "1anger/male/AM1.bmp", "1anger/male/AM1.jpg", "cover.jpg")
    put(tmp_path, "s.csv", "图片,强度\nAM1,5\n")
    read = read_all(CORPUS, tmp_path)
    assert [row["source"] for row in read.examples] == ["1anger/male/AM1.bmp"] * 2
    assert (
        sorted(read.reasons) == ["another picture has this name"] * 2 + ["outside the folders of the seven types"] * 2
    )


def test_a_zip_and_its_unpacked_copy_count_once(tmp_path):
    faces(tmp_path, "1anger/male/AM1.jpg")
    with zipfile.ZipFile(tmp_path / "CFAPS.zip", "w") as archive:
        archive.writestr("CFAPS/1anger/male/AM1.jpg", picture())
        archive.writestr("CFAPS/1anger/male/AM2.jpg", picture())
        archive.writestr("CFAPS/s.csv", "图片,强度\nAM1,5\nAM2,3\n")
    read = read_all(CORPUS, tmp_path)
    assert (ei(read), read.bad) == ({"AM1.jpg": 0.5, "AM2.jpg": 0.25}, [])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("s.csv", b"", "expected a row with the headings 图片, 强度, found an empty sheet"),
        ("s.csv", b"No,Mean\nAM1,5\n", "expected a row with the headings 图片, 强度, found No, Mean. Map the columns"),
        ("s.csv", b"\xff\x00\xff", "s.csv:1: not UTF-8 (byte 0xff), and not clearly another encoding"),
        ("s.xlsx", b"PK junk", "s.xlsx: cannot be read as .xlsx"),
        ("s.xls", b"\xd0\xcf\x11\xe0", "s.xls: .xls files cannot be read. Save it as .xlsx or as .csv"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, data, message):
    faces(tmp_path, "1anger/male/AM1.jpg")
    put(tmp_path, name, data)
    assert message in fault_of(CORPUS, tmp_path)


def test_a_foreign_folder_and_nothing_at_all(tmp_path):
    assert CORPUS.find([], CORPUS.options) == []
    with pytest.raises(Fault, match=r"cfaps: none of its files among train/x/1\.jpg; expected 1anger/male"):
        read_all(CORPUS, faces(tmp_path, "train/x/1.jpg"))


def test_870_pictures_give_174_test_and_87_validation_rows_of_both_subsets(tmp_path):
    names = {label: f"{label}/male" for label in COUNTS}
    pictures = [f"{names[label]}/{label}{n}.jpg" for label, count in COUNTS.items() for n in range(count)]
    faces(tmp_path, *pictures)
    ratings = "".join(f"{name.rpartition('/')[2]},5\n" for name in pictures)
    put(tmp_path, "s.csv", "图片,强度\n" + ratings)
    read = read_all(CORPUS, tmp_path)
    assert Counter(f"{row['subset']} {row['split']}" for row in read.examples) == CORPUS.expected
    splits = [
        {row["source"]: row["split"] for row in read.examples if row["subset"] == f"CFAPS_{s}"} for s in ("EC", "EI")
    ]
    assert splits[0] == splits[1]
    test = Counter(row["emotion"] for row in read.examples if row["split"] == "test" and row["emotion"])
    assert all(abs(test[label] - count / 5) < 1 for label, count in COUNTS.items())


@given(st.lists(st.integers(0, 40), min_size=7, max_size=7))
def test_the_split_is_a_fifth_whatever_the_counts_and_does_not_depend_on_the_order(counts):
    rows = [Face("", f"{label}{n}", label) for label, count in zip(COUNTS, counts, strict=True) for n in range(count)]
    splits = split_by_hash(rows)
    assert len(splits) == sum(counts) and Counter(splits.values())["test"] == sum(counts) // 5
    assert split_by_hash(rows[::-1]) == splits


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=6))
def test_each_picture_gives_two_items_and_any_mean_comes_through(tmp_path_factory, means):
    root = faces(tmp_path_factory.mktemp("raw"), *(f"1anger/male/AM{n}.jpg" for n in range(len(means))))
    put(root, "s.csv", "图片,强度\n" + "".join(f"AM{n},{mean!r}\n" for n, mean in enumerate(means)))
    read = read_all(CORPUS, root)
    assert len(read.examples) + len(read.bad) == 2 * len(means)
    assert list(ei(read).values()) == [(mean - 1) / 8 for mean in means if 1 <= mean <= 9]
