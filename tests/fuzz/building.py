"""Build one mutated corpus, and report the outcome."""

import contextlib
import io
import json
import re
import shutil
import traceback
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from data_build.build import build
from data_build.config import load_config
from data_build.drawing.writer import Files
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from tests.fuzz.mutations import Case, mutated, small_corpus

TEXT = tuple(dict.fromkeys(one.corpus for one in benchmark().values() if one.modality == "text"))
MEDIA = tuple(dict.fromkeys(one.corpus for one in benchmark().values() if one.modality != "text"))


class Outcome(NamedTuple):
    """The outcome of a case: built, refused, traceback, lost rows; or crash, hang. `detail` says more."""

    number: int
    corpus: str
    what: str
    result: str
    detail: str


def run_case(number: int, seed: int, corpora: tuple[str, ...], folder: Path) -> Outcome:
    """Build the case with that number; the same seed and corpora give the same case."""
    random = Random(f"{seed} {number}")
    corpus = random.choice(corpora)
    case = mutated(corpus, _files(corpus, folder), random)
    result, detail = _outcome(case, folder)
    return Outcome(number, corpus, case.what, result, detail)


def _outcome(case: Case, folder: Path) -> tuple[str, str]:
    try:
        read, kept = _build(case.corpus, case.files, folder)
    except Fault as fault:
        text = str(fault)
        return ("lost rows" if "bug in the reader" in text else "refused"), text
    except Exception:
        return "traceback", traceback.format_exc()
    before = _rows_before(case.corpus, folder) if case.same_rows else read
    if read != kept or read != before:
        return "lost rows", f"{read} rows read, {kept} kept or in quarantine, {before} without the mutation"
    return "built", f"{read} rows"


@cache
def _files(corpus: str, folder: Path) -> Files:
    return small_corpus(corpus, folder / "samples")


@cache
def _rows_before(corpus: str, folder: Path) -> int:
    return _build(corpus, _files(corpus, folder), folder)[0]


def _build(corpus: str, files: Files, folder: Path) -> tuple[int, int]:
    """The number of rows read according to the build, and of rows in its files or in quarantine."""
    raw, data = folder / "raw", folder / "data"
    for old in (raw, data):
        shutil.rmtree(old, ignore_errors=True)
    for name, content in files.items():
        path = raw / corpus / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    subsets = [subset for subset in benchmark().values() if subset.corpus == corpus]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        build(raw, data, load_config(None), subsets, jobs=1)
    read = re.search(rf"^{corpus}: (\d+) rows read", said.getvalue(), re.MULTILINE)
    assert read, said.getvalue()
    mix = data / "mmaffin/mmaffin_train.jsonl"
    written = [path for path in data.glob("mmaff*/*.jsonl") if path != mix]
    kept = sum(path.read_bytes().count(b"\n") for path in written)
    lines = (data / "quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    return int(read[1]), kept + sum(json.loads(line)["rows"] for line in lines)
