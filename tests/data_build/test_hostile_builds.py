"""Whole builds of damaged raw files: sound rows are built; damage is in quarantine or gives a message."""

import contextlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import load_config
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from tests.data_build.corpora.test_cfaps import SHEET, picture
from tests.data_build.raw_rows import put
from tests.fuzz.building import TEXT, run_case

HOSTILE = Path("../shared/faults/hostile")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_picture_in_a_broken_member_goes_to_the_quarantine_and_the_build_goes_on(tmp_path, method):
    names = [f"1anger/male/AM{number}.png" for number in range(1, 12)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in names:
            archive.writestr(name, picture())
        archive.writestr("ratings.csv", SHEET + "".join(f"AM{number},愤怒,90,5\n" for number in range(1, 12)))
    data = bytearray(out.getvalue())
    start = data.index(names[2].encode()) + len(names[2]) + 9
    data[start : start + 20] = b"\xff" * 20
    put(tmp_path, "raw/cfaps/all.zip", bytes(data))
    subsets = [benchmark()["CFAPS_EC"], benchmark()["CFAPS_EI"]]
    build(tmp_path / "raw", tmp_path / "data", load_config(None), subsets, jobs=1)
    rows = [json.loads(line) for line in (tmp_path / "data/quarantine.jsonl").read_text().splitlines()]
    broken = [row for row in rows if "a broken or truncated archive" in row["reason"]]
    assert len(broken) == 2 and all("AM3.png" in row["source"] for row in broken)  # one row per subset


@pytest.mark.skipif(not HOSTILE.is_dir(), reason="../shared/faults is not there")
def test_every_hostile_archive_and_table_is_built_or_refused_in_a_sentence(tmp_path):
    shopping = tmp_path / "textfuzz/onlineshopping"
    shopping.mkdir(parents=True)
    for path in (HOSTILE / "archives").glob("textfuzz_*.zip"):
        shutil.copy(path, shopping / "online_shopping_10_cats.zip")
    folders = [*sorted(HOSTILE.glob("archives/*/")), *sorted(HOSTILE.glob("tables/*/")), tmp_path / "textfuzz"]
    outcomes = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        corpora = {path.name for path in folder.iterdir()}
        subsets = [subset for subset in benchmark().values() if subset.corpus in corpora]
        with contextlib.redirect_stderr(io.StringIO()) as said:
            try:
                build(folder, tmp_path / folder.name / "data", load_config(None), subsets, jobs=1)
                outcomes[folder.name] = said.getvalue()
            except Fault as fault:
                outcomes[folder.name] = f"{said.getvalue()}{fault}"
    for name, sentence in (
        ("encrypted", "is encrypted"),
        ("deflate64", "is compressed in a way that is not supported (method 9)"),
        ("broken_lzma", "XED.zip: a broken or truncated archive"),
        ("broken_bz2", "XED.zip: a broken or truncated archive"),
        ("badutf8name", "XED.zip: a name in it is not UTF-8"),
        ("droste", "more than 4 archives within each other"),
        ("duplicates", "several members are named XED.zip!Projections/en-projections.tsv"),
        ("tarhuge", "XED.tar: a broken or truncated archive (it ends too early)"),
        ("xlsx_farcell", "kept"),
    ):
        assert sentence in outcomes[name]


def test_some_mutated_tables_and_archives_are_built_or_refused_and_lose_no_row(tmp_path):
    """python -m tests.fuzz runs a thousand, including pictures and clips."""
    outcomes = [run_case(number, 11, TEXT[1:4], tmp_path) for number in range(24)]
    assert {one.result for one in outcomes} <= {"built", "refused"}, outcomes
