"""The hash of the code changes with every module that affects the result, and with no other."""

import shutil
import subprocess
import sys
from pathlib import Path

from mmafflm.files.source_hash import source_hash
from tests.paths import ROOT

ASKED = (("data_build.corpora.meld",), ("data_build.corpora.xed",), ("mmafflm.media.decode",), ("eval",))


def hashes(root: Path) -> list[str]:
    """The hashes of ASKED, computed from the code below root."""
    code = f"from mmafflm.files.source_hash import source_hash\nfor names in {ASKED!r}: print(source_hash(*names))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True
    ).stdout.split()


def test_what_changes_it(tmp_path: Path) -> None:
    for package in ("mmafflm", "data_build", "eval"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    before = hashes(tmp_path)
    assert len(set(before)) == len(ASKED)

    def changed(file: str, text: str = "\n# another line\n") -> list[bool]:
        nonlocal before
        with (tmp_path / file).open("a") as source:
            source.write(text)
        last, before = before, hashes(tmp_path)
        return [old != new for old, new in zip(last, before, strict=True)]

    assert changed("data_build/corpora/meld.py") == [True, False, False, False]
    assert changed("data_build/reading/raw.py") == [True, True, False, False]  # imported by every reader
    assert changed("mmafflm/media/budget.py") == [False, False, True, True]
    assert changed("eval/score/metrics.py") == changed("eval/report/report.css.j2") == [False, False, False, True]
    assert changed("mmafflm/benchmark/prompts.yaml")[::3] == [True, True]  # a data file next to benchmark.py
    assert changed("mmafflm/train/run.py") == [False] * 4  # none of these imports it


def test_a_name_without_a_module_counts_nothing() -> None:
    assert source_hash("eval.no_such_module") == source_hash() != source_hash("eval.score.metrics")
