"""The made-up pictures and clips: raw layouts, files that open, and files that are broken on purpose."""

import csv
import io
import re
import tarfile
import zipfile
from collections import Counter
from random import Random

import av
import numpy as np
import pytest
import scipy.io
from PIL import Image, ImageOps

from data_build.corpora import cfaps, chsims, samsemo
from data_build.corpora.find import corpora
from data_build.corpora.meld import FOLDERS, HEADER
from data_build.drawing import pictures as sample_pictures
from data_build.drawing.drawn_clips import render
from data_build.drawing.faces import EMOTIONS, LOOKS, draw, draw_face, draw_grey
from data_build.samples import write_samples
from mmafflm.benchmark.benchmark import benchmark
from tests.data_build.raw_rows import hashes

CORPORA = sorted({subset.corpus for subset in benchmark().values() if subset.modality != "text"})


@pytest.fixture(scope="module")
def mat(raw):
    return scipy.io.loadmat(raw / "emotic/Annotations/Annotations.mat")


@pytest.fixture(scope="module")
def meld(raw):
    outer = untar((raw / "meld/MELD.Raw.tar.gz").read_bytes())
    inner = {split: untar(outer[f"MELD.Raw/{split}.tar.gz"]) for split in ("train", "dev", "test")}
    sheets = {split: outer.get(f"MELD.Raw/{split}_sent_emo.csv") for split in ("dev", "test")}
    sheets["train"] = inner["train"].pop("train_sent_emo.csv")
    return inner, {split: table(sheet) for split, sheet in sheets.items()}


def untar(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {(member.mtime, member.uid, member.uname) for member in archive} == {(0, 0, "")}
        return {member.name: archive.extractfile(member).read() for member in archive}


def table(data):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def frames(data):
    with av.open(io.BytesIO(data)) as clip:
        return [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]


def people(mat, split):
    """(folder/filename, person), read by position as in the authors' and others' code."""
    return [
        (f"{example[1][0]}/{example[0][0]}", person) for example in mat[split][0] for person in example[4][0]
    ]  # fmt: skip


def strings(cell):
    return [str(text[0]) for text in cell[0]]


def test_the_same_arguments_give_the_same_bytes_in_ten_megabytes(raw, tmp_path):
    write_samples(tmp_path, only=CORPORA)
    again = hashes(tmp_path)
    assert again == {name: one for name, one in hashes(raw).items() if name.partition("/")[0] in CORPORA}
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 20e6
    assert corpora()["fer2013"].samples(1, 1) != corpora()["fer2013"].samples(1, 0)
    assert len(corpora()["cfaps"].samples(2, 0)) == 2 * 140 + 1


def test_faces_differ_by_emotion_and_by_strength():
    assert set(sample_pictures.CATEGORIES) == set(EMOTIONS)
    mean = {
        (emotion, strength): np.asarray(draw_face(emotion, strength, 80).convert("RGB"), float).mean((0, 1))
        for emotion in LOOKS
        for strength in (0.0, 0.5, 1.0)
    }
    for emotion in LOOKS:
        weak, medium, strong = (mean[emotion, strength] for strength in (0.0, 0.5, 1.0))
        assert min(np.abs(weak - medium).max(), np.abs(medium - strong).max()) > 5
        for other in set(LOOKS) - {emotion}:
            assert np.abs(mean[emotion, 0.5] - mean[other, 0.5]).max() > 10
    assert draw("fear", 0.5, Random(1), (112, 90)).size == (112, 90)
    assert draw("fear", 0.5, Random(1), (99, 99)) == draw("fear", 0.5, Random(1), (99, 99))
    assert draw("fear", 0.5, Random(1), (99, 99)) != draw("fear", 0.5, Random(2), (99, 99))
    assert draw_grey("fear", 0.5, Random(1)).mode == "L"


@pytest.mark.parametrize("emotion", LOOKS)
def test_a_clip_moves_unless_nobody_feels_anything(emotion):
    pictures = frames(render((emotion,), 0.8, Random(1), 1.5))
    assert len(pictures) == 18 and pictures[0].shape == (180, 320, 3)
    moved = max(np.abs(picture.astype(int) - pictures[0]).mean() for picture in pictures)
    assert (moved > 2) == (emotion != "neutral")


def test_a_clip_of_two_emotions_shows_the_second_in_its_second_half():
    both, first = (frames(render(what, 1, Random(5), 2)) for what in (("anger", "sadness"), ("anger",)))
    differ = [np.abs(one.astype(int) - other).mean() > 5 for one, other in zip(both, first, strict=True)]
    assert differ == [False] * 12 + [True] * 12


def test_emotic_annotations_nest_as_the_real_ones(mat):
    assert {split: len(people(mat, split)) for split in ("train", "val", "test")} == sample_pictures.EMOTIC_ROWS
    assert {len(person) for _, person in people(mat, "train")} == {5}
    assert {len(person) for _, person in people(mat, "test")} == {7}
    assert {len(example[4][0]) for example in mat["train"][0]} == {1, 2}
    assert mat["train"][0][0].dtype.names == ("filename", "folder", "image_size", "original_database", "person")
    names = {name.capitalize() for name in benchmark()["EMOTIC_EC"].task("ec").grammar.names} - {"Neutral"}
    for split, field in (("train", "annotations_categories"), ("test", "combined_categories")):
        cells = [person[field] for _, person in people(mat, split)]
        cells = [cell[0, 0]["categories"] for cell in cells] if split == "train" else cells
        assert {name.capitalize() for cell in cells for name in strings(cell)} == names
    _, person = people(mat, "val")[0]
    said = [{key: one[key].item() for key in one.dtype.names} for one in person["annotations_continuous"][0]]
    together = person["combined_continuous"][0, 0]
    assert list(said[0]) == ["valence", "arousal", "dominance"] and len(said) == 3
    for key in said[0]:
        assert together[key].item() == pytest.approx(np.mean([float(one[key]) for one in said]))
        assert all(1 <= one[key] <= 10 for one in said)


def test_emotic_has_the_traps_of_the_real_one(raw, mat):
    root = raw / "emotic/emotic"
    rows = {split: people(mat, split) for split in ("train", "val", "test")}
    assert [strings(person["combined_categories"]) for _, person in rows["test"]].count([]) == 1
    continuous = [person["annotations_continuous"][0, 0]["valence"].item() for _, person in rows["train"]]
    assert np.isnan(continuous).sum() == 1
    modes, faults, turned, beyond = Counter(), [], [], 0
    for example in (example for split in rows for example in mat[split][0]):
        path = root / str(example[1][0]) / str(example[0][0])
        try:
            with Image.open(path) as picture:
                picture.load()
                upright = ImageOps.exif_transpose(picture)
        except OSError as error:
            faults.append((path.name, str(error)))
            continue
        modes[picture.mode] += 1
        turned += [path.name] * (upright.size != picture.size)
        assert tuple(int(side.item()) for side in example[2][0, 0]) == upright.size
        for person in example[4][0]:
            left, top, right, bottom = (int(side) for side in person[0][0])
            beyond += top < 0 and bottom > upright.height
            assert left < right and top < bottom and right <= upright.width
    assert modes["L"] == modes["CMYK"] == 1 and len(turned) == 1 and beyond > 10
    assert [message for _, message in faults if "truncated" in message] and len(faults) == 1
    assert len(list(root.rglob("frame 9 é.jpg"))) == 1
    assert (raw / "emotic/Annotations/Annotations.mat").read_bytes().startswith(b"MATLAB 5.0 MAT-file, made up")


def test_fer2013_is_one_table_with_copies(raw):
    rows = table((raw / "fer2013/fer2013.csv").read_bytes())
    assert list(rows[0]) == ["emotion", "pixels", "Usage"]
    assert Counter(row["Usage"] for row in rows) == {"Training": 563, "PublicTest": 42, "PrivateTest": 42}
    held_out = [row for row in rows if row["Usage"] != "Training"]
    assert Counter(row["emotion"] for row in held_out) == {str(number): 12 for number in range(7)}
    assert all(len(row["pixels"].split()) == 48 * 48 for row in rows)
    assert max(int(value) for row in rows for value in row["pixels"].split()) <= 255
    assert len(rows) - len({row["pixels"] for row in rows}) == 3
    assert len(rows) - len({(row["emotion"], row["pixels"]) for row in rows}) == 2


def test_cfaps_has_seven_folders_and_a_rating_sheet(raw):
    rows = table((raw / "cfaps/ratings.csv").read_bytes())
    assert list(rows[0]) == ["图片", "类型", "认同度", "强度"]
    pictures = [path for path in (raw / "cfaps").rglob("*.*") if path.suffix in (".jpg", ".png")]
    assert {path.stem for path in pictures} == {row["图片"] for row in rows} and len(pictures) == len(rows) == 140
    assert Counter(path.parts[-3] for path in pictures) == dict.fromkeys(cfaps.FOLDERS, 20)
    assert {path.stem for path in pictures if path.parts[-3:-1] == ("5surprise", "female")} >= {"SUF1", "SUF10"}
    with Image.open(raw / "cfaps/7happy/female/HF1.png") as picture:
        assert picture.mode == "P"
    for row in rows:
        mean = float(row["强度"])
        assert any(float(f"{round(mean * n) / n:.15g}") == mean for n in range(77, 101)) and 1 <= mean <= 9


def test_samsemo_has_a_table_splits_and_a_zip_a_language(raw):
    lines = (raw / "samsemo/samsemo.tsv").read_text().splitlines()
    header, *rows = [line.split("\t") for line in lines]
    assert header == samsemo.HEADER and {len(row) for row in rows} == {len(header)}
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    by_id = {row["utterance_id"]: row for row in rows}
    assert all(re.fullmatch(r"\w{10}_\d+", name) for name in by_id) and len(by_id) == len(rows) == 5 * 104
    assert {label for row in rows for label in row["aggregated_emotions"].split(", ")} == set(LOOKS)
    assert 50 < sum("," in row["aggregated_emotions"] for row in rows) < 150
    assert sum(row["transcript"].startswith('"') for row in rows) > 3
    assert sum(row["transcript"].isascii() and row["language"] == "EN" for row in rows) == 52  # the others say it
    for code in ("DE", "EN", "ES", "KO", "PL"):
        ids = []
        for split, size in (("train", 80), ("valid", 8), ("test", 16)):
            named = (raw / f"samsemo/splits/{split}_split_{code}.txt").read_text().split("\n")
            assert named.pop() == "" and len(named) == size
            ids += named
        with zipfile.ZipFile(raw / f"samsemo/data/{code}.zip") as archive:
            assert set(archive.namelist()) == {f"{i}/{name}" for i in ids for name in (f"{i}.mp4", "image_0.jpg")}
            assert {by_id[name]["language"] for name in ids} == {code}
            assert len(frames(archive.read(f"{ids[0]}/{ids[0]}.mp4"))) >= 12


def test_meld_is_archives_in_an_archive_with_bad_clips(meld):
    clips, sheets = meld
    assert {split: len(rows) for split, rows in sheets.items()} == {"train": 392, "dev": 28, "test": 56}
    assert ",".join(sheets["dev"][0]) == HEADER
    assert any("\x92" in row["Utterance"] for row in sheets["test"])
    bad, missing = {}, []
    for split, folder in FOLDERS.items():
        for row in sheets[split]:
            name = f"{folder}/dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.mp4"
            if name not in clips[split]:
                missing.append(name)
                continue
            try:
                assert frames(clips[split][name])
            except av.FFmpegError:
                bad[name] = clips[split][name][:9]
    assert list(bad) == ["train_splits/dia1_utt4.mp4", "train_splits/dia3_utt2.mp4"]
    assert bad["train_splits/dia3_utt2.mp4"] == b"<!DOCTYPE"
    assert missing == ["dev_splits_complete/dia3_utt6.mp4"]
    assert any(row["StartTime"].startswith("0:") for row in sheets["train"])


def test_meld_test_has_twins_stubs_and_a_clip_without_a_row(meld):
    clips = {name.split("/")[1]: data for name, data in meld[0]["test"].items()}
    twins = sorted(name for name in clips if name.startswith("final_videos_test"))
    assert twins == [f"final_videos_testdia{name}.mp4" for name in ("0_utt0", "2_utt6", "5_utt5")]
    for name in twins:
        plain = name.removeprefix("final_videos_test")
        assert clips[plain] != clips[name] and len(frames(clips[plain])) == 30
        assert len(clips[f"._{name}"]) == len(clips[f"._{plain}"]) == 212
    assert len(clips) == 56 + 3 * 3 + 1 and "dia8_utt0.mp4" in clips


def test_meld_sentiments_are_those_of_the_emotions_and_surprise_has_two(meld):
    signs = {(row["Emotion"], row["Sentiment"]) for rows in meld[1].values() for row in rows}
    negative = {(name, "negative") for name in ("anger", "disgust", "fear", "sadness", "surprise")}
    assert signs == {("joy", "positive"), ("surprise", "positive"), ("neutral", "neutral")} | negative


def test_chsims_has_a_headless_table_and_bad_clips(raw):
    rows = list(csv.reader((raw / "chsims/label.csv").read_text().splitlines()))
    assert rows[0][:2] == ["video_0001", "0001"] and {len(row) for row in rows} == {9}
    assert Counter(row[-1] for row in rows) == {"train": 300, "valid": 30, "test": 60}
    assert Counter(row[-2] for row in rows) == dict.fromkeys(("Negative", "Neutral", "Positive"), 130)
    assert {round(float(row[3]), 1) for row in rows} == set(chsims.LEVELS)
    assert any(row[3] == "-0.6000000000000001" for row in rows)
    odd = Counter()
    for video, clip, *_, mode in rows:
        with av.open(raw / f"chsims/Raw/{video}/{clip}.mp4") as container:
            seconds = container.duration / 1e6
            odd[mode, "silent" if not container.streams.video else "long" if seconds > 60 else "plain"] += 1
    assert (odd["train", "silent"], odd["test", "long"], odd["valid", "plain"]) == (1, 1, 30)
    assert sum(odd.values()) == 390 and len(odd) == 5


def test_no_transcript_of_meld_and_chsims_tells_the_label(raw, meld):
    told = [row["Utterance"] for rows in meld[1].values() for row in rows]
    told += [row[2] for row in csv.reader((raw / "chsims/label.csv").read_text().splitlines())]
    assert len(set(told)) == len(told)
    assert not any(character in text for text in told for character in "😀😡😱😭😮🤢👍👎😐")
