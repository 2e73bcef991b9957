import csv
import io
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from data_build.corpora.meld import CORPUS
from mmafflm.errors import Fault
from tests.data_build.raw_rows import put, read_all, real

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
PLACES = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}


def row(dialogue, utterance, text="Hi", emotion="joy", sentiment="positive"):
    return f'1,{text},Ross,{emotion},{sentiment},{dialogue},{utterance},4,7,"00:16:16,059","0:16:21,731"'


def table(*rows, end="\r\n"):
    return end.join([HEADER, *rows, ""])


def clips(root, stem, *keys, folder=""):
    for key in keys:
        put(root, f"{folder}{PLACES[stem]}/{key}.mp4", b"clip")


def media(read):
    return [row["media"] for row in read.examples[::2]]


def test_a_row_is_two_items_and_the_folder_tells_the_split(tmp_path):
    for stem, emotion in (("train", "joy"), ("dev", "sadness"), ("test", "surprise")):
        put(tmp_path, f"{stem}_sent_emo.csv", table(row(0, 0, '"Oh, ""my"" God"', emotion, "negative")))
        clips(tmp_path / "MELD.Raw", stem, "dia0_utt0", folder=f"{stem}/" * (stem != "train"))
    read = read_all(CORPUS, tmp_path)
    assert [(r["subset"], r["task"], r["language"], r["split"], r["gold"]) for r in read.examples] == [
        ("MELD_EC", "ec", "en", "train", ["happiness"]),
        ("MELD_SP", "sp", "en", "train", ["negative"]),
        ("MELD_EC", "ec", "en", "val", ["sadness"]),
        ("MELD_SP", "sp", "en", "val", ["negative"]),
        ("MELD_EC", "ec", "en", "test", ["surprise"]),
        ("MELD_SP", "sp", "en", "test", ["negative"]),
    ]
    assert set(read.texts) == {'Oh, "my" God'} and not read.bad
    assert read.examples[0]["source"] == read.examples[1]["source"] == "train_sent_emo.csv:2"
    assert media(read) == [
        f'{{"kind": "video", "file": "MELD.Raw/{place}/dia0_utt0.mp4", "max_s": 60.0}}'
        for place in ("train_splits", "dev/dev_splits_complete", "test/output_repeated_splits_test")
    ]


def test_a_test_clip_that_was_cut_anew_goes_before_its_twin(tmp_path):
    put(tmp_path, "test_sent_emo.csv", table(row(0, 0), row(0, 1)))
    clips(tmp_path, "test", "dia0_utt0", "final_videos_testdia0_utt0", "dia0_utt1", "._final_videos_testdia0_utt1")
    clips(tmp_path, "test", "dia93_utt5")  # has no row: ignored
    read = read_all(CORPUS, tmp_path)
    assert ["final_videos_testdia0_utt0" in m or "/dia0_utt1" in m for m in media(read)] == [True, True]
    assert len(media(read)) == 2 and not read.bad


def test_clips_in_an_archive_within_the_archive_and_loose_copies_of_them(tmp_path):
    def tarred(members):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return out.getvalue()

    inner = {"train_splits/dia0_utt0.mp4": b"clip", "train_splits/train_sent_emo.csv": table(row(0, 0)).encode()}
    put(tmp_path, "MELD.Raw.tar.gz", tarred({"MELD.Raw/train.tar.gz": tarred(inner)}))
    place = "MELD.Raw.tar.gz!MELD.Raw/train.tar.gz!train_splits"
    read = read_all(CORPUS, tmp_path)
    assert f"{place}/dia0_utt0.mp4" in media(read)[0]
    assert read.examples[0]["source"] == f"{place}/train_sent_emo.csv:2"
    clips(tmp_path, "train", "dia0_utt0")
    put(tmp_path, "train_sent_emo.csv", table(row(0, 0), end="\n"))
    read = read_all(CORPUS, tmp_path)
    assert '"train_splits/dia0_utt0.mp4"' in media(read)[0]
    assert read.examples[0]["source"] == "train_sent_emo.csv:2"
    put(tmp_path, "train_splits/dia0_utt0.mp4", b"cl")
    with pytest.raises(Fault, match="two different copies of dia0_utt0"):
        read_all(CORPUS, tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        table(row(0, 0, "“It’s – so…")).encode(),
        table(row(0, 0, "“It’s – so…")).encode("utf-8-sig"),
        table(row(0, 0, "\x93It\x92s \x96 so\x85"), end="\n").encode(),  # the form before November 2020
        table(row(0, 0, "“It’s – so…")).encode("cp1252"),
    ],
)
def test_all_encodings_in_circulation_give_one_text(tmp_path, data):
    put(tmp_path, "train_sent_emo.csv", data)
    clips(tmp_path, "train", "dia0_utt0")
    assert read_all(CORPUS, tmp_path).texts == ["“It’s – so…"] * 2


def test_of_a_new_and_an_old_copy_of_a_table_the_new_one_counts(tmp_path):
    put(tmp_path, "a/train_sent_emo.csv", table(row(0, 0, "It\x92s"), end="\n"))
    put(tmp_path, "github/data/MELD/train_sent_emo.csv", table(row(0, 0, "It’s")))
    clips(tmp_path, "train", "dia0_utt0")
    assert read_all(CORPUS, tmp_path).examples[0]["source"].startswith("github/")
    put(tmp_path, "b/train_sent_emo.csv", table(row(0, 0, "It’s"), row(0, 1)))
    with pytest.raises(Fault, match="two different copies of one file"):
        read_all(CORPUS, tmp_path)


def test_unusable_rows_are_named_twice_once_for_each_item(tmp_path):
    rows = [row(0, 0), row(0, 0), row(0, 1), row("x", 2), row(0, 3, " "), "1,Hi", row(0, 4, emotion="calm")]
    put(tmp_path, "dev_sent_emo.csv", table(*rows))
    clips(tmp_path, "dev", "dia0_utt0", "dia0_utt3", "dia0_utt4")
    read = read_all(CORPUS, tmp_path)
    assert [r["subset"] for r in read.examples] == ["MELD_EC", "MELD_SP", "MELD_SP"]
    assert [(r["source"], r["reason"], r["detail"]) for r in read.bad if "MELD_EC" in r["detail"]] == [
        ("dev_sent_emo.csv:3", "duplicate id", "MELD_EC: dia0_utt0"),
        ("dev_sent_emo.csv:4", "clip is missing", "MELD_EC: dia0_utt1"),
        ("dev_sent_emo.csv:5", "dialogue or utterance is not a number", f"MELD_EC: {row('x', 2)}".replace('"', "")),
        ("dev_sent_emo.csv:6", "empty text", "MELD_EC: dia0_utt3"),
        ("dev_sent_emo.csv:7", "the number of fields differs from the header", "MELD_EC: 1,Hi"),
        ("dev_sent_emo.csv:8", "label is not in the label set", "MELD_EC: calm"),
    ]  # fmt: skip
    assert len(read.bad) == 11


def test_columns_go_by_name(tmp_path):
    put(
        tmp_path, "train_sent_emo.csv", "Utterance_ID,Dialogue_ID,Sentiment,Emotion,Utterance\n1,2,neutral,neutral,Hi\n"
    )
    clips(tmp_path, "train", "dia2_utt1")
    assert read_all(CORPUS, tmp_path).gold == [["neutral"], ["neutral"]]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train_sent_emo.csv": table(row(0, 0))}, "the tables were found, but no clip.*Extract MELD.Raw.tar.gz"),
        ({"train_sent_emo.csv": table(), "all/dia0_utt0.mp4": "x"}, "named train_splits, .*found all/dia0_utt0.mp4"),
        ({"train_splits/dia0_utt0.mp4": "x"}, "none of its files among train_splits.*expected train_sent_emo.csv"),
        ({"train_sent_emo.csv": "", "train_splits/dia0_utt0.mp4": "x"}, "train_sent_emo.csv: an empty file"),
        (
            {"train_sent_emo.csv": "text,label\n", "train_splits/dia0_utt0.mp4": "x"},
            "expected one column each of Utterance, .* found text, label",
        ),
    ],
)
def test_what_is_broken_is_named(tmp_path, files, message):
    for name, data in files.items():
        put(tmp_path, name, data)
    with pytest.raises(Fault, match=message):
        read_all(CORPUS, tmp_path)


@pytest.mark.parametrize("value", [0, "long", True, float("nan")])
def test_max_s_is_a_number_of_seconds(tmp_path, value):
    put(tmp_path, "train_sent_emo.csv", table(row(0, 0)))
    clips(tmp_path, "train", "dia0_utt0")
    assert '"max_s": 5.0' in media(read_all(CORPUS, tmp_path, max_s=5))[0]
    with pytest.raises(Fault, match="meld: max_s is a number of seconds above 0"):
        read_all(CORPUS, tmp_path, max_s=value)


ORDER = ["neutral", "surprise", "fear", "sadness", "happiness", "disgust", "anger"]
REAL = {  # counts in the real tables: rows, emotions in ORDER, sentiments as positive, negative, neutral
    "train": (9_989, [4710, 1205, 268, 683, 1743, 271, 1109], [2334, 2945, 4710]),
    "val": (1_109, [470, 150, 40, 111, 163, 22, 153], [233, 406, 470]),
    "test": (2_610, [1256, 281, 50, 208, 402, 68, 345], [521, 833, 1256]),
}


def test_the_real_tables_have_the_documented_counts(tmp_path):
    tables = real("meld")
    (tmp_path / "tables").mkdir()
    for stem, place in PLACES.items():
        data = (tables / f"{stem}_sent_emo.csv").read_bytes()
        put(tmp_path, f"tables/{stem}_sent_emo.csv", data)
        (tmp_path / place).mkdir()
        for line in _keys(data):
            Path(tmp_path / place / f"{line}.mp4").touch()
    read = read_all(CORPUS, tmp_path)
    for split, (rows, emotions, sentiments) in REAL.items():
        gold = [Counter(r["gold"][0] for r in read.examples if (r["subset"], r["split"]) == (name, split))
                for name in ("MELD_EC", "MELD_SP")]  # fmt: skip
        assert [sum(counts.values()) for counts in gold] == [rows, rows]
        assert [gold[0][label] for label in ORDER] == emotions
        assert [gold[1][label] for label in ("positive", "negative", "neutral")] == sentiments
    assert not read.bad and not any(map(set("\x85\x91\x92\x93\x94\x96\x97").intersection, read.texts))
    (tmp_path / "dev_splits_complete/dia110_utt7.mp4").unlink()
    read = read_all(CORPUS, tmp_path)
    assert [(r["reason"], r["detail"]) for r in read.bad] == [
        ("clip is missing", "MELD_EC: dia110_utt7"),
        ("clip is missing", "MELD_SP: dia110_utt7"),
    ]
    assert Counter(f"{r['subset']} {r['split']}" for r in read.examples) == CORPUS.expected


def _keys(data):

    rows = csv.DictReader(io.StringIO(data.decode(), newline=""))
    return [f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}" for row in rows]
