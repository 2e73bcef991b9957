import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_build.corpora.chsims import CORPUS, ORDER, _level
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from tests.data_build.raw_rows import put, read_all

HEADER = ",".join(ORDER)
FIRST = "video_0001,0001,我不想嫁给李茶,-1.0,-1.0,-1.0,-1.0,Negative,train"
ROWS = [FIRST, 'video_0001,0002,"好,""真""好",0.8,0,0,0,Positive,valid', "video_0002,0001,嗯,0.0,1,1,1,Neutral,test"]


def put_all(root, *rows, header=HEADER, end="\n"):
    put(root, "label.csv", end.join([*([header] if header else []), *rows, ""]))
    for clip in ("video_0001/0001", "video_0001/0002", "video_0002/0001"):
        put(root, f"Raw/{clip}.mp4", b"clip")
    return root


def test_a_row_is_two_items(tmp_path):
    read = read_all(CORPUS, put_all(tmp_path, *ROWS))
    assert [(r["subset"], r["task"], r["language"], r["split"], r["gold"]) for r in read.examples] == [
        ("CHSIMS_SP", "sp", "zh", "train", ["negative"]),
        ("CHSIMS_SI", "si", "zh", "train", -1.0),
        ("CHSIMS_SP", "sp", "zh", "val", ["positive"]),
        ("CHSIMS_SI", "si", "zh", "val", 0.8),
        ("CHSIMS_SP", "sp", "zh", "test", ["neutral"]),
        ("CHSIMS_SI", "si", "zh", "test", 0.0),
    ]
    assert read.texts[::2] == ["我不想嫁给李茶", '好,"真"好', "嗯"] and not read.bad
    assert read.examples[0]["source"] == "label.csv:2"
    clip = {"kind": "video", "file": "Raw/video_0001/0001.mp4", "max_s": 60.0}
    assert [json.loads(r["media"]) for r in read.examples[:2]] == [clip, clip]


def test_without_a_header_the_first_row_is_a_row(tmp_path):
    read = read_all(CORPUS, put_all(tmp_path, *ROWS, header=""))
    assert len(read.texts) == 6 and read.examples[0]["source"] == "label.csv:1"
    put(tmp_path, "label.csv", b"\xef\xbb\xbf" + (tmp_path / "label.csv").read_bytes().replace(b"\n", b"\r\n"))
    assert read_all(CORPUS, tmp_path) == read
    put(tmp_path, "label.csv", "video_0001,0001,好,0.8,Positive,train,x\n")  # the order of MMSA v_1.0
    with pytest.raises(
        Fault, match=r"label\.csv:1: without a header expected the 9 fields video_id, .* found 7: video_"
    ):
        read_all(CORPUS, tmp_path)


def test_columns_go_by_name_and_clip_ids_get_their_zeros_back(tmp_path):
    header = "video_id,clip_id,text,label,annotation,mode,_"
    rows = ["video_0001,1,好,0.8,Positive,train,x", "video_0001,2.0,好,0.8,Positive,train,x"]
    put_all(tmp_path, *rows, header=header)
    read = read_all(CORPUS, tmp_path)
    files = [json.loads(row["media"])["file"] for row in read.examples[::2]]
    assert files == ["Raw/video_0001/0001.mp4", "Raw/video_0001/0002.mp4"]


def test_binary_noise_is_rounded_and_zero_has_no_sign(tmp_path):
    noisy = [
        "video_0001,0001,好,-0.6000000000000001,0,0,0,Negative,train",
        "video_0001,0002,好,-0.0,0,0,0,Neutral,train",
        "video_0002,0001,好,1,0,0,0,Positive,train",
    ]
    gold = read_all(CORPUS, put_all(tmp_path, *noisy)).gold[1::2]
    assert [repr(value) for value in gold] == ["-0.6", "0.0", "1.0"]
    answer = benchmark()["CHSIMS_SI"].task("si").answer
    assert [answer(value) for value in gold] == ["-0.6", "0.0", "1.0"]


@given(st.integers(-5, 5), st.floats(-1e-9, 1e-9))
def test_every_level_comes_through_with_its_noise(fifths, noise):
    level = _level(repr(fifths / 5 + noise))
    assert repr(level) == repr(round(fifths * 0.2, 1) + 0.0)


@given(st.one_of(st.text(), st.floats().map(repr)))
def test_nothing_else_is_a_level(text):
    level = _level(text)
    assert level is None or (abs(float(text) - level) < 1e-6 and abs(level) <= 1)


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ("video_0001,0001,好,0.1,0,0,0,Positive,train", "label is not -1, -0.8, ... or 1", "0.1"),
        ("video_0001,0001,好,1.2,0,0,0,Positive,train", "label is not -1, -0.8, ... or 1", "1.2"),
        ("video_0001,0001,好,nan,0,0,0,Positive,train", "label is not -1, -0.8, ... or 1", "nan"),
        (
            "video_0001,0001,好,,0,0,0,Neutral,train",
            "label is not -1, -0.8, ... or 1",
            "video_0001,0001,好,,0,0,0,Neutral,train",
        ),
        ("video_0001,0001,好,0.2,0,0,0,Mixed,train", "annotation is not a known polarity", "Mixed"),
        ("video_0001,0001,好,0.2,0,0,0,Negative,train", "annotation and label disagree", "Negative, 0.2"),
        ("video_0001,0001,好,0.2,0,0,0,Neutral,train", "annotation and label disagree", "Neutral, 0.2"),
        ("video_0001,0001,好,0.2,0,0,0,Positive,dev", "mode is not train, valid or test", "dev"),
        ("video_0001,0001, ,0.2,0,0,0,Positive,train", "empty text", "video_0001/0001"),
        ("video_0001,0009,好,0.2,0,0,0,Positive,train", "clip is missing", "video_0001/0009"),
        ("video_0002,1,好,0.2,0,0,0,Positive,train", "duplicate id", "video_0002/0001"),
        ("video_0001,0001,好", "the number of fields differs from the header", "video_0001,0001,好"),
    ],
)
def test_unusable_rows_are_named_once_for_each_item(tmp_path, row, reason, detail):
    read = read_all(CORPUS, put_all(tmp_path, ROWS[2], row))
    assert [(r["source"], r["reason"], r["detail"]) for r in read.bad] == [
        ("label.csv:3", reason, f"CHSIMS_SP: {detail}"),
        ("label.csv:3", reason, f"CHSIMS_SI: {detail}"),
    ]
    assert len(read.examples) == 2


def test_clips_in_an_archive_and_loose_copies_of_them(tmp_path):
    put(tmp_path, "label.csv", f"{FIRST}\n")
    with zipfile.ZipFile(tmp_path / "Raw.zip", "w") as archive:
        archive.writestr("SIMS/Raw/video_0001/0001.mp4", b"clip")
        archive.writestr("Processed/unaligned_39.pkl", b"")
    assert "Raw.zip!SIMS/Raw/video_0001/0001.mp4" in read_all(CORPUS, tmp_path).examples[0]["media"]
    put(tmp_path, "Raw/video_0001/0001.mp4", b"clip")
    assert '"Raw/video_0001/0001.mp4"' in read_all(CORPUS, tmp_path).examples[0]["media"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"meta.csv": HEADER}, r"meta\.csv is the table of CH-SIMS v2, and MMAFFBen uses v1\. Put label\.csv"),
        ({"labels.txt": ""}, r"chsims: none of its files among labels\.txt; expected label\.csv"),
        ({"label.csv": FIRST}, "label.csv was found, but no clip; expected Raw/video_0001/0001.mp4"),
        ({"label.csv": "", "Raw/video_0001/0001.mp4": "x"}, "label.csv: an empty file"),
        ({"label.csv": "id,text\n1,x\n", "Raw/video_0001/0001.mp4": "x"}, "expected one column each of video_id, "),
        ({"label.csv": f"{HEADER},text\n", "Raw/video_0001/0001.mp4": "x"}, r"\(text missing or twice\)"),
        (
            {"label.csv": FIRST, "Raw/a/0001.mp4": "x"},
            "no row has a clip, though Raw/a/0001.mp4 is there; .*video_0001",
        ),
        ({"label.csv": FIRST.encode("big5", "replace"), "Raw/video_0001/0001.mp4": "x"}, r"label\.csv:1: not UTF-8"),
    ],
)
def test_what_is_broken_is_named(tmp_path, files, message):
    for name, data in files.items():
        put(tmp_path, name, data)
    with pytest.raises(Fault, match=message):
        read_all(CORPUS, tmp_path)


V2 = HEADER + "\naqgy3_0001,00000,好,0.0,0.0,0.0,0.0,Neutral,train\n"


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (V2, "the video aqgy3_0001"),
        (HEADER + "\n" + "".join(f"video_0001,{n:04},好,0,0,0,0,Neutral,train\n" for n in range(2282)), "2,282 rows"),
    ],
)
def test_the_second_version_under_the_name_of_the_first_is_refused(tmp_path, table, found):
    put(tmp_path, "label.csv", table)
    put(tmp_path, "Raw/video_0001/0001.mp4", "x")
    with pytest.raises(Fault, match=rf"label\.csv: {found}, while CH-SIMS v1 has 2,281 rows .* probably CH-SIMS v2"):
        read_all(CORPUS, tmp_path)


def test_a_table_in_gb_18030_and_clips_in_other_containers(tmp_path):
    put(tmp_path, "Label.CSV", f"{HEADER}\n{FIRST}\n".encode("gb18030"))
    put(tmp_path, "Raw/video_0001/0001.MKV", "x")
    read = read_all(CORPUS, tmp_path)
    assert [row["media"] for row in read.examples] == [
        '{"kind": "video", "file": "Raw/video_0001/0001.MKV", "max_s": 60.0}'
    ] * 2


def test_no_folder_no_parts():
    assert CORPUS.find([], CORPUS.options) == []
