"""Nothing of a corpus is lost silently: files, classes, subsets and splits without any kept row are named."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_build.build import build
from data_build.config import Config
from data_build.doctor import examine
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.errors import Fault, UsageFault
from tests.data_build.raw_rows import put
from tests.media_files import clip_bytes

SHOP = "onlineshopping/online_shopping_10_cats.csv"
GOOD = "cat,label,review\n" + "".join(f"书籍,{n % 2},评论 {n}\n" for n in range(40))
MELD = "Utterance,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 221618\n"


def made(tmp_path: Path, config: Config, subsets: str) -> list[dict[str, Any]]:
    """Build, and return the lines of the quarantine."""
    build(tmp_path / "raw", tmp_path / "data", config, choose_subsets(subsets), jobs=1)
    return [json.loads(line) for line in (tmp_path / "data" / "quarantine.jsonl").read_text().splitlines()]


def refused(tmp_path: Path, config: Config, subsets: str) -> str:
    with pytest.raises(Fault) as fault:
        build(tmp_path / "raw", tmp_path / "data", config, choose_subsets(subsets), jobs=1)
    assert not (tmp_path / "data" / "manifest.json").exists()
    return str(fault.value)


def face(number: int) -> bytes:
    out = io.BytesIO()
    Image.frombytes("L", (48, 48), bytes((number * 37 + i * (number + 1)) % 256 for i in range(2304))).save(out, "PNG")
    return out.getvalue()


def test_labels_that_no_reader_knows_are_a_fault_beside_another_corpus_too(tmp_path: Path, config: Config) -> None:
    put(tmp_path / "raw", SHOP, "cat,label,review\n书籍,1.0,好\n书籍,0.0,差\n酒店,1.0,净\n")
    posts = [{"id": n, "content": f"好 {n}", "label": "happy"} for n in range(4)]
    put(tmp_path / "raw", "ewect/usual_train.txt", json.dumps(posts))
    message = refused(tmp_path, config, "EWECT_usual,onlineshopping")
    assert (
        "none of 3 rows of onlineshopping in reviews can be used; the first, online_shopping_10_cats.csv:2: " in message
    )
    assert "label is not 0 or 1 (1.0)" in message


def test_a_class_that_no_reader_knows_is_a_fault_and_a_stray_row_is_not(tmp_path: Path, config: Config) -> None:
    put(tmp_path / "raw", SHOP, GOOD + "书籍,2,评论 a\n书籍,x,评论 b\n书籍,x,评论 c\n")
    assert [row["detail"] for row in made(tmp_path, config, "onlineshopping")] == ["2", "x", "x"]
    put(tmp_path / "b" / "raw", SHOP, GOOD + "".join(f"书籍,2,评论 n{n}\n" for n in range(20)))
    message = refused(tmp_path / "b", config, "onlineshopping")
    assert (
        "20 of 60 rows in reviews have '2', which the reader does not know; the first is online_shopping_10_cats.csv:42"
        in message
    )


def test_header_without_rows_is_a_fault(tmp_path: Path, config: Config) -> None:
    put(tmp_path / "raw", SHOP, "cat,label,review\n")
    assert "no row is kept, and no row of a subset was found" in refused(tmp_path, config, "onlineshopping")


def test_the_build_says_how_much_of_each_subset_and_split_there_is(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, split in enumerate(("train", "validation")):
        put(tmp_path / "raw", f"fer2013/images/{split}/angry/{number}.jpg", face(number))
        put(tmp_path / "raw", f"fer2013/images/{split}/Happiness/{number}.JPE", face(number + 10))
    header = "ID\tTweet\tAffect Dimension\tIntensity Score\n"
    put(tmp_path / "raw", "semeval2018/2018-Valence-reg-En-train.TXT", f"{header}2018-En-1\ta\tvalence\t0.5\n")
    made(tmp_path, config, "FER2013,semeval2018_english")
    said = capsys.readouterr().err
    assert "FER2013: train: 2 rows, val: 2 rows, test: 0 of 7,178 rows" in said
    assert "semeval2018_english: train: 1 of 23,404 rows (none of ei_reg, ei_oc, v_oc, e_c)" in said
    found = [row for row in examine(tmp_path / "raw") if row[0] == "fer2013"]
    assert ("missing", "FER2013 test", "0", "7178") in [row[1:5] for row in found]


def test_a_split_of_which_every_clip_is_broken_is_said(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, folder in (("test", "output_repeated_splits_test"), ("dev", "dev_splits_complete")):
        put(tmp_path / "raw", f"meld/{split}_sent_emo.csv", f"{MELD}Hi {split},joy,positive,0,0\n")
        put(tmp_path / "raw", f"meld/{folder}/dia0_utt0.mp4", clip_bytes(6) if split == "dev" else b"no clip")
    assert build(tmp_path / "raw", tmp_path / "data", config, choose_subsets("MELD_EC"), jobs=1)
    assert "val: 1 of 1,108 rows, test: 0 of 2,610 rows (not a video file" in capsys.readouterr().err


def test_rows_of_subsets_that_were_not_asked_for_do_not_count(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["It’s me,joy,positive,0,0", "It’s you,anger,negative,0,1", "No,neutral,neutral,0,2", "Hm,odd,neutral,0,3"]
    put(tmp_path / "raw", "meld/TEST_sent_emo.CSV", (MELD + "\n".join(rows)).encode("gb18030"))
    for name in ("dia0_utt0.mp4", "dia0_utt1.MP4", "Dia0_utt3.mkv"):
        content = clip_bytes(6, container="matroska" if name.endswith("mkv") else "mp4")
        put(tmp_path / "raw", f"meld/output_repeated_splits_test/{name}", content)
    lines = made(tmp_path, config, "MELD_EC")
    assert "meld: 4 rows read = 2 kept + 2 in quarantine" in capsys.readouterr().err
    assert [(row["reason"], row["detail"]) for row in lines] == [
        ("clip is missing", "MELD_EC: dia0_utt2"),
        ("label is not in the label set", "MELD_EC: odd"),
    ]
    records = [json.loads(line) for line in (tmp_path / "data/mmaffben/MELD_EC_test.jsonl").read_text().splitlines()]
    assert "It’s me" in records[0]["messages"][0]["content"] and "It’s you" in records[1]["messages"][0]["content"]


def test_a_quarantine_line_names_the_picture_or_clip_at_fault(tmp_path: Path, config: Config) -> None:
    put(tmp_path / "raw", "meld/test_sent_emo.csv", f"{MELD}One,joy,positive,0,0\nTwo,joy,positive,0,1\n")
    put(tmp_path / "raw", "meld/output_repeated_splits_test/dia0_utt0.mp4", clip_bytes(6))
    put(tmp_path / "raw", "meld/output_repeated_splits_test/dia0_utt1.mp4", b"no clip")
    (line,) = made(tmp_path, config, "MELD_EC")
    assert line["source"] == "test_sent_emo.csv:3" and "not a video file" in line["reason"]
    assert line["detail"] == "output_repeated_splits_test/dia0_utt1.mp4"


@pytest.mark.parametrize(
    ("files", "subset", "message"),
    [
        ({"xed/AnnotatedData/en-annotated.tsv": "a\t1\n"}, "XED",
         "AnnotatedData/en-annotated.tsv was found; set xed: en_fi: annotated"),
        ({"xed/Projections/da-projections.tsv": "a\t1\n"}, "XED", "da-projections.tsv is not for a language of"),
        ({"semeval2018/2018-Valence-reg-En-test.txt":
          "ID\tTweet\tAffect Dimension\tIntensity Score\n2018-En-1\ta\tvalence\tNONE\n"},
         "semeval2018_english", "every label is NONE. Use the test-gold file"),
        ({"ewect/usual_train.xlsx": "PK"}, "EWECT_usual", ".xlsx files are not read; use usual_train.txt"),
        ({"ewect/usual_test.txt": '[{"id": 1, "content": "a"}]'}, "EWECT_usual", "usual_test.txt: has no labels"),
        ({"chsims/meta.csv": "a"}, "CHSIMS_SP", "meta.csv is the table of CH-SIMS v2"),
        ({"fer2013/train.csv": "a"}, "FER2013", "train.csv and test.csv alone do not contain the labels"),
    ],
)  # fmt: skip
def test_a_corpus_without_labels_or_in_another_form_is_not_called_absent(
    files: dict[str, str], subset: str, message: str, tmp_path: Path, config: Config
) -> None:
    put(tmp_path / "raw", SHOP, GOOD)
    for name, text in files.items():
        put(tmp_path / "raw", name, text)
    assert message in refused(tmp_path, config, f"onlineshopping,{subset}")
    states = {row[0]: row for row in examine(tmp_path / "raw")}
    assert states[next(iter(files)).partition("/")[0]][1] == "broken"


def test_parts_of_other_subsets_are_not_read(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    posts = [{"id": n, "content": f"好 {n}", "label": "happy"} for n in range(4)]
    put(tmp_path / "raw", "ewect/usual_train.txt", json.dumps(posts))
    put(tmp_path / "raw", "ewect/virus_train.xlsx", "PK")
    made(tmp_path, config, "EWECT_usual")
    assert "ewect: 4 rows read = 4 kept" in capsys.readouterr().err
    with pytest.raises(UsageFault, match="no corpus found"):
        build(tmp_path / "raw", tmp_path / "b", config, choose_subsets("onlineshopping"), jobs=1)


def test_a_folder_or_an_archive_in_another_place_is_named(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "raw", SHOP.replace("onlineshopping/", "Online-Shopping/"), GOOD)
    put(tmp_path / "raw", "xed-master.zip", "PK")
    (tmp_path / "raw" / "mms").mkdir()
    made(tmp_path, config, "onlineshopping,XED,MMS")
    said = capsys.readouterr().err
    assert "xed-master.zip is not read from there; move it into" in said and "mms has no files; left out (MMS)" in said


@pytest.mark.parametrize(
    ("name", "subset"),
    [("mms/data/en/en_amazon.tsv", "MMS"), ("chsims/label.csv", "CHSIMS_SP"), ("samsemo/data/EN.zip", "SAMSEMO")],
)
def test_a_git_lfs_pointer_is_named(name: str, subset: str, tmp_path: Path, config: Config) -> None:
    put(tmp_path / "raw", name, POINTER)
    rest = name.partition("/")[2]
    assert f"{rest} is a Git LFS pointer; run git lfs pull" in refused(tmp_path, config, subset)


def test_a_git_lfs_pointer_in_an_archive_is_named(tmp_path: Path, config: Config) -> None:
    (tmp_path / "raw" / "mms").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "raw/mms/mms-main.zip", "w") as archive:
        archive.writestr("mms-main/data/en/en_amazon.tsv", POINTER)
    assert "mms-main.zip!mms-main/data/en/en_amazon.tsv is a Git LFS pointer" in refused(tmp_path, config, "MMS")


def test_texts_that_lost_their_signs_are_reported_with_their_share(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["I?m here", "You don?t say? No.", "the caf?s owner", "Really?", "What??? Is it?", "see http://x.y/z?s=1"]
    rows = "".join(f'"{text}",joy,positive,0,{n}\n' for n, text in enumerate(texts))
    put(tmp_path / "raw", "meld/test_sent_emo.csv", MELD + rows)
    for number in range(len(texts)):
        put(tmp_path / "raw", f"meld/output_repeated_splits_test/dia0_utt{number}.mp4", clip_bytes(6 + number))
    made(tmp_path, config, "MELD_EC,MELD_SP")
    said = capsys.readouterr().err
    assert "test_sent_emo.csv: 3 of 6 texts (50.0%) seem to have lost signs" in said and "'I?m here'" in said


def test_chinese_that_became_question_marks_is_reported(
    tmp_path: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "raw", SHOP, GOOD + '书籍,1,??????\n书籍,1,"?????,????? 2"\n书籍,1,真的吗???\n')
    made(tmp_path, config, "onlineshopping")
    assert "2 of 43 texts (4.7%) seem to have lost signs" in capsys.readouterr().err
