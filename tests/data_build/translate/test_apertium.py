"""The real apertium, if Debian's packages are installed (apt-get install apertium apertium-eng-spa)."""

import json
import shutil
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import Config
from data_build.dataset.check import check
from data_build.samples import write_samples
from data_build.translate.apertium import Apertium
from data_build.translate.marks import lost
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from mmafflm.records import read_jsonl
from tests.command import mmaffin

ROWS = [
    "I am sooo HAPPY to see you, @ann_b! 😀👍🏽 :-)",
    "[read] this {now} at https://t.co/Ab1_c?x=1&y=[2] <3 ^_^",
    "$5 / 10 is 50% of what \\ he * has ~ said ^ about #NewYear",
    "",
    "😀",
    "- I'm awake, Leary.",
    "You were SO HAPPY~ about it",
    "fish &amp; chips :] :[",
    "nul\0in the middle",
    "I know. You know.",
]


@pytest.fixture(scope="module")
def apertium() -> Apertium:
    if not shutil.which("apertium"):
        pytest.skip("apertium is not installed")
    engine = Apertium()
    if "eng-spa" not in engine.modes:
        pytest.skip("apertium-eng-spa is not installed")
    return engine


def test_rows_come_back_in_order_with_all_that_is_not_words(apertium: Apertium) -> None:
    rows = apertium.translate(ROWS, "en", "es")
    assert len(rows) == len(ROWS)
    for text, row in zip(ROWS, rows, strict=True):
        assert lost(text, row) is None, (text, row)
    assert rows[3] == "" and rows[4] == "😀"
    assert rows[5] == "- Soy despierto, Leary."
    assert rows[-1].startswith("Sé.")
    for number, text in enumerate(ROWS):  # rows do not affect each other
        assert apertium.translate([text], "en", "es") == [rows[number]]


def test_a_pair_that_is_not_there_is_refused_with_those_that_are(apertium: Apertium) -> None:
    assert apertium.mode("en", "es") == "eng-spa" and apertium.mode("es", "en") == "spa-eng"
    assert apertium.version("en", "es").startswith("3.")
    with pytest.raises(UsageFault, match=r"no pair from en to fi\. Installed: .*eng-spa"):
        apertium.require("en", "fi")


def test_the_command_from_build_to_check(apertium: Apertium, config: Config, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_samples(tmp_path / "raw", only={"xed"})
    build(tmp_path / "raw", data, config, choose_subsets("XED"), jobs=1, limit=20)
    command = ("translate", "--data", data, "--engine", "apertium")
    done = mmaffin(*command, "--to", "es")
    assert done.returncode == 0, done.stderr
    dataset = Dataset.open(data)
    assert check(dataset) == []
    rows = [row for row in dataset.records("XED", "train") if row.translated_from]
    assert rows and all(row.id.startswith("XED/es<-en/train/") for row in rows)
    assert rows[0].translated_from == {
        "language": "en",
        "engine": "apertium",
        "model": "eng-spa",
        "version": apertium.version("en", "es"),
    }
    for line in read_jsonl(data / "quarantine.jsonl"):
        if line["corpus"] == "translate":
            assert {"text", "translation", "engine", "version"} <= json.loads(line["detail"]).keys()
    again = mmaffin(*command, "--to", "fi")
    assert again.returncode == 2 and "no pair from en to fi" in again.stderr and "Traceback" not in again.stderr
