"""`mmaffin build --shard I/N`: shares of the pictures and clips, opened by several machines; and the Slurm scripts."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import load_config
from data_build.media.journal import JOURNAL, read_journal
from data_build.shares import open_share
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.errors import Fault
from mmafflm.shard import Shard
from tests.data_build.raw_rows import hashes
from tests.paths import ROOT

SUBSETS = choose_subsets("onlineshopping,FER2013,MELD_EC")


def test_a_build_after_its_shares_opens_nothing_and_has_the_same_bytes(some_raw: Path, tmp_path: Path) -> None:
    config, limit = load_config(None), 20
    build(some_raw, tmp_path / "whole", config, SUBSETS, jobs=1, limit=limit)
    wanted = set(read_journal(tmp_path / "whole"))
    data = tmp_path / "shared"
    for number in (2, 1):
        open_share(some_raw, data, config, SUBSETS, Shard(number, 2), jobs=1, limit=limit)
        assert 0 < len((data / f".media.{number}-of-2.jsonl").read_bytes().splitlines()) < len(wanted)
    assert set(read_journal(data)) == wanted and not (data / "manifest.json").exists()
    with (data / ".media.1-of-2.jsonl").open("ab") as torn:
        torn.write(b'{"key": "torn by a ki')
    build(some_raw, data, config, SUBSETS, jobs=1, limit=limit)
    assert not (data / JOURNAL).exists() and hashes(data) == hashes(tmp_path / "whole")
    assert not (data / ".shares").exists()


def test_a_share_waits_for_nobody_but_a_build(some_raw: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with (tmp_path / "data/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Fault, match="a build, or the same share, is running here"):
            open_share(some_raw, tmp_path / "data", load_config(None), SUBSETS, Shard(1, 2), jobs=1)


def test_a_share_writes_nothing_through_a_link(some_raw: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "data/media").symlink_to(tmp_path / "outside")
    with pytest.raises(Fault, match=r"media.* leads out"):
        open_share(some_raw, tmp_path / "data", load_config(None), SUBSETS, Shard(1, 2), jobs=1)
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize(
    ("script", "variable", "verb"), [("predict", "MMAFFBEN", "predict"), ("extract", "MMAFFIN", "build --jobs 4")]
)
def test_the_slurm_scripts_give_each_task_of_an_array_its_share(
    script: str, variable: str, verb: str, tmp_path: Path
) -> None:
    fake = tmp_path / "fake"
    fake.write_text('#!/usr/bin/env bash\nprintf "[%s]" "$@"\n')
    fake.chmod(0o755)
    for task, share in ((5, "1/3"), (7, "3/3")):
        slurm = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "3",
                 "SLURM_CPUS_PER_TASK": "4", variable: str(fake)}  # fmt: skip
        words = ["bash", str(ROOT / f"train_configs/slurm/{script}.sbatch"), "--out", "my data"]
        done = subprocess.run(words, env=os.environ | slurm, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        first, *more = verb.split()
        assert done.stdout == "".join(f"[{word}]" for word in (first, "--out", "my data", *more, "--shard", share))
