"""A whole build with pictures and clips: each is opened once, broken ones are named, no file is left over."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_build.build import build
from data_build.config import Config
from data_build.dataset.check import check
from data_build.media.journal import read_journal
from data_build.media.media_index import read_index
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.browse.page import show
from mmafflm.browse.query import Query, choose
from mmafflm.browse.server import reply
from mmafflm.browse.table import open_table
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault
from mmafflm.families.find import built_for
from mmafflm.records import media_files, read_records, write_text
from mmafflm.train.plan.plan import plan
from mmafflm.train.plan.token_counts import media_of_mix
from mmafflm.train.run import train
from tests.data_build.raw_rows import hashes
from tests.forks import Forks
from tests.mmafflm.recipes import RECIPES
from tests.mmafflm.train.test_loss import in_one_process


def test_what_cannot_be_opened_is_in_quarantine_with_its_reason(built: Path) -> None:
    told = [json.loads(line) for line in (built / "quarantine.jsonl").read_text().splitlines()]
    reasons = {name: [row["reason"] for row in told if row["corpus"] == name] for name in ("emotic", "meld", "chsims")}
    assert any(reason.startswith("broken picture") for reason in reasons["emotic"])
    for beginning in ("broken clip", "not a video file: it begins with '<"):  # cut off, and a page of HTML; two tasks
        assert sum(reason.startswith(beginning) for reason in reasons["meld"]) == 2
    assert "clip is missing" in reasons["meld"] and "no video stream" in reasons["chsims"]
    repaired = Dataset.open(built).manifest["corpora"]["chsims"]["repaired"]
    assert [note.endswith("its middle 60 s are taken") for note in repaired.values()] == [True]


def test_the_pictures_are_those_of_the_index_and_nothing_else(built: Path, tmp_path: Path) -> None:
    index = read_index(built)
    on_disk = {path.relative_to(built).as_posix() for path in (built / "media").rglob("*.*")}
    named = {
        file
        for split in ("train", "val", "test")
        for name in Dataset.open(built).subsets(split)
        for record in Dataset.open(built).records(name, split)
        for file in media_files(record)
    }
    assert on_disk == set(index) | {"media/index.jsonl"} and named <= set(index)
    shutil.copytree(built, tmp_path / "data")
    first, second = sorted(index)[:2]
    (tmp_path / "data" / first).write_bytes(b"other")
    (tmp_path / "data" / second).unlink()
    faults = check(Dataset.open(tmp_path / "data"))
    assert any(f"{first}: changed after the build" in fault for fault in faults)
    assert any(f"{second}: missing" in fault for fault in faults)


def test_a_browser_shows_every_record_of_the_build_with_its_pictures(built: Path) -> None:
    table = open_table(Dataset.open(built))
    assert table.rows.height == sum(rows_of(built).values())
    asked = [Query.parse(f"subset={name}&split=train", table) for name in ("XED", "EMOTIC_EC", "CHSIMS_SI", "MELD_EC")]
    for query in asked:
        chosen = choose(table, query)
        assert chosen.found == rows_of(built)[f"mmaffin/{query.values['subset']}_train.jsonl"]
        for seen in (seen for row in chosen.rows for seen in show(table, row).seen):
            last = reply(table, f"{seen.address}/{seen.first + seen.frames - 1}")
            assert not seen.note and last.status == 200 and last.kind.startswith("image/"), seen
        assert reply(table, query.address(1)).body.count(b"<article") == len(chosen.rows) > 0


def rows_of(data: Path) -> dict[str, int]:
    """{file: records} of every split, as the manifest has it."""
    of = Dataset.open(data)
    return {
        split_file(name, split): of.files[split_file(name, split)]["rows"]
        for name, splits in of.manifest["subsets"].items()
        for split in splits
    }


def test_build_killed_among_the_clips_goes_on_and_ends_with_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    """The process kills itself after opening 100 pictures and clips; the next build keeps these and opens the rest.

    The bytes do not depend on the number of processes either.
    """
    killer = (
        "import os, signal\n"
        "import data_build.media.journal as e\n"
        "real, count = e.append_jsonl, 0\n"
        "def append(path, rows):\n"
        "    global count\n"
        "    real(path, rows)\n"
        "    count += 1\n"
        "    if count == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "e.append_jsonl = append\n"
        "if __name__ == '__main__':\n"
        "    from data_build.cli import main\n"
        "    main()\n"
    )
    (tmp_path / "killer.py").write_text(killer)  # a file, so that spawned workers can read it
    subsets = ["--subsets", "MELD_EC"]
    words = ["build", "--raw", str(raw), *subsets, "--jobs"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for command in (
        [sys.executable, "-m", "data_build", *words, "1", "--out", str(whole)],
        [sys.executable, str(tmp_path / "killer.py"), *words, "2", "--out", str(stopped)],
        [sys.executable, "-m", "data_build", *words, "2", "--out", str(stopped)],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        killed = "killer" in command[1]
        assert done.returncode == (-signal.SIGKILL if killed else 0), done.stderr
        if killed:
            assert len(read_journal(stopped)) == 100
    assert hashes(stopped) == hashes(whole)


def test_another_config_opens_no_picture_again(built: Path, raw: Path, tmp_path: Path, config: Config) -> None:
    data = tmp_path / "data"
    shutil.copytree(built, data)
    before = (data / ".media.jsonl").read_bytes()
    build(raw, data, config.model_copy(update={"seed": 1}), choose_subsets("FER2013,MELD_SP"), replace=True)
    assert (data / ".media.jsonl").read_bytes() == before
    assert check(Dataset.open(data)) == []
    assert not (data / "media" / "chsims").is_dir() or not list((data / "media" / "chsims").rglob("*.bmp"))


def test_raw_video_keeps_clips(raw: Path, tmp_path: Path, config: Config) -> None:
    build(raw, tmp_path / "data", config, choose_subsets("MELD_EC"), raw_video=True)
    dataset = Dataset.open(tmp_path / "data")
    assert check(dataset) == []
    clips = [record.videos for record in dataset.records("MELD_EC", "test")]
    assert all(isinstance(video[0], str) and video[0].endswith(".mp4") for video in clips)
    twin = pl.read_parquet(tmp_path / "data/mmaffin/parquet/MELD_EC_test.parquet")
    assert twin["videos"].to_list() == clips and twin["vision_tokens"].min() > 10


def test_media_that_changed_are_refused_before_training(built: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(built, data)
    dataset = Dataset.open(data)
    names = media_of_mix(dataset)
    assert len(names) > 500
    dataset.require_media(names)
    first, second = sorted(names)[:2]
    (data / second).unlink()
    with pytest.raises(Fault, match=r"missing\. Run mmaffin build again"):
        dataset.require_media(names)
    (data / second).write_bytes(b"x")
    with pytest.raises(Fault, match=f"{second}: changed after the build"):
        dataset.require_media(names)
    with pytest.raises(Fault, match="missing"):
        dataset.require_media([first, "media/emotic/no/such.png"])


def test_training_meets_no_file_that_ffmpeg_could_take_for_a_script(built: Path, nano: Path, tmp_path: Path) -> None:
    """The size and the manifest are those of the build; only the first bytes say what the file is."""
    data = shutil.copytree(built, tmp_path / "data")
    clip = next(name for name in sorted(media_of_mix(Dataset.open(data))) if "/meld/" in name)
    script = b"ffconcat version 1.0\nfile secret.mp4\n"
    (data / clip).write_bytes(script.ljust((data / clip).stat().st_size))
    with pytest.raises(Fault, match=f"{clip}: LLaMA-Factory would have to guess what this is"):
        train(RECIPES / "nano.yaml", Dataset.open(data), tmp_path / "run", base=str(nano))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_training_learns_every_answer_whole_and_nothing_else(
    built: Path, nano: Path, forks: Forks, tmp_path: Path
) -> None:
    """Every row of the mix as LLaMA-Factory passes it to the model: the labels are only the answer and its end."""
    pytest.importorskip("llamafactory")
    from tokenizers import Tokenizer

    planned = plan(RECIPES / "nano.yaml", Dataset.open(built), 1, base=str(nano), out=tmp_path / "run")
    write_text(tmp_path / "config.yaml", planned.to_yaml())
    seen = in_one_process(forks, {tmp_path / "config.yaml": "labels"})[0]["rows"]
    tokenizer = Tokenizer.from_file(str(nano / "tokenizer.json"))
    vision = pl.read_parquet(built / "mmaffin/parquet/mmaffin_train.parquet")["vision_tokens"]
    wanted: Counter[tuple[Any, ...]] = Counter()
    for record, tokens in zip(read_records(built / "mmaffin/mmaffin_train.jsonl"), vision, strict=True):
        media = max(0, tokens - 2)  # without the tokens before and after it
        prompt = re.sub("<image>|<video>", "<|vision_start|><|vision_end|>", record.prompt)
        text, answer = (
            built_for().conversation.exchange.format(prompt=prompt, answer=record.answer),
            f"{record.answer}<|im_end|>\n",
        )
        ids, labels = (tokenizer.encode(one, add_special_tokens=False).ids for one in (text, answer))
        wanted[tuple(ids), media, len(ids) + media - len(labels), tuple(labels)] += 1
    assert Counter((tuple(ids), media, ignored, tuple(labels)) for ids, media, ignored, labels in seen) == wanted
    assert wanted.total() == planned.mix.rows and max(len(one[0]) + one[1] for one in wanted) <= planned.mix.longest
