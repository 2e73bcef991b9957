"""A numeric task with mostly unparsed answers: every table, test and mean shows a dash in place of its correlation."""

import json
from pathlib import Path

import pytest

from eval.diagnosis.diagnose import diagnose
from eval.score.answered import Answered
from eval.score.figure import beside_text
from eval.score.score import score_run
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.records import Record
from tests.command import mmaffben
from tests.data_files import write_data
from tests.eval.made_runs import answered, noisy, records, write_run

ROWS = 60
SILENT = "I would rather not say."
SUBSETS = ["semeval2018_english", "CHSIMS_SI", "CHSIMS_SP"]


def silent(share: float):
    """No admissible answer in that share of the rows of CHSIMS_SI; elsewhere an occasional wrong answer."""
    honest = noisy(0.3)

    def answer(one: Record) -> str:
        at = int(one.id.rpartition("/")[2])
        return SILENT if one.subset == "CHSIMS_SI" and at % ROWS < share * ROWS else honest(one)

    return answer


def test_the_maximum_of_macro_f1_is_shown_where_it_is_below_1() -> None:
    scored = {"metrics": {"macro_f1": 0.5, "macro_f1_supported": 0.6}, "attainable": {"macro_f1": 1.0}}
    assert beside_text("macro_f1", scored) == "0.600 over classes with gold"
    scored["attainable"] = {"macro_f1": 0.875}
    assert beside_text("macro_f1", scored) == "0.600 over classes with gold, at most 0.875"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    semeval = [one for key in ("ei_reg", "v_reg") for one in records("semeval2018_english", ROWS, key)]
    rows = {"semeval2018_english": semeval, **{name: records(name, ROWS) for name in SUBSETS[1:]}}
    return write_data(tmp_path_factory.mktemp("data"), rows)


@pytest.fixture(scope="module")
def runs(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs scored in both modes: one with 75% of CHSIMS_SI unparsed, and one that answers everything."""
    folder = tmp_path_factory.mktemp("runs")
    for name, share in (("mute", 0.75), ("clear", 0.0)):
        write_run(folder / name, data, SUBSETS, silent(share))
        for mode in ("strict", "paper"):
            score_run(folder / name, data, mode)
    return folder / "mute", folder / "clear"


def said(*words: object) -> str:
    """The output of a command, which must succeed."""
    done = mmaffben(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pearson(run: Path, mode: str = "strict") -> float:
    scores = json.loads((run / f"scores.{mode}.json").read_text())
    return float(scores["subsets"]["CHSIMS_SI"]["metrics"]["pearson"])


def line(text: str, beginning: str) -> list[str]:
    row = next(one for one in text.splitlines() if one.startswith(beginning))
    return [cell.strip() for cell in row.replace("\\\\", "").strip("| ").replace("&", "|").split("|")]


@pytest.mark.parametrize("mode", ["strict", "paper"])
def test_score_prints_a_dash_beside_the_share(data: Dataset, runs: tuple[Path, Path], mode: str) -> None:
    text = said("score", runs[0], "--data", data.path, "--mode", mode, "--markdown")
    assert line(text, "| CHSIMS_SI")[3:7] == ["-", "-", "60", "75.0%"]
    assert f"{pearson(runs[0], mode):.3f}" not in text and "75.0% of the answers are unparsed" in text


def test_report_tables_and_model_card_show_a_dash_and_no_mean(
    data: Dataset, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    said("report", *runs, "--data", data.path, "--out", tmp_path / "r.html")
    html, text, tex = ((tmp_path / f"r.{kind}").read_text() for kind in ("html", "md", "tex"))
    card = (tmp_path / "r.mute.MODEL_CARD.md").read_text()
    clear = f"{100 * pearson(runs[1]):.1f}"
    for mode, scale in (("strict", 1), ("strict", 100), ("paper", 100)):
        hidden = f"{scale * pearson(runs[0], mode):.{3 if scale == 1 else 1}f}"
        assert not any(
            f"{hidden}{end}" in one for one in (html, text, tex, card) for end in (" [", "<small>", " |", " &")
        )
    assert line(text, "| CHSIMS_SI")[3:7] == ["-", "-", "-", "75.0%"]
    assert line(text, "| CHSIMS_SI")[9].startswith(clear) and line(text, "| CHSIMS_SI")[10] == "0.0%"
    assert line(tex, "CHSIMS\\_SI")[5:7] == ["-", "75.0\\%"] and line(card, "| CHSIMS_SI")[5:7] == ["-", "75.0%"]
    assert "name: MMAFFBen CHSIMS_SI" not in card and "name: MMAFFBen CHSIMS_SP" in card
    assert "75.0% of the answers are unparsed" in html and "CHSIMS_SI" in html.partition("not in ")[2][:200]
    means = json.loads((tmp_path / "r.results.json").read_text())["averages"]["strict"]
    numbers = [one for one in means if "CHSIMS_SI" in one["of"]]
    assert numbers and all(one["cells"][0] is None and one["cells"][1] is not None for one in numbers)


def test_compare_does_not_test_it_and_averages_without_it(data: Dataset, runs: tuple[Path, Path]) -> None:
    text = said("compare", *runs, "--data", data.path, "--markdown")
    row = line(text, "| CHSIMS_SI")
    assert row[4] == "-" and row[5] != "-" and row[6:10] == ["-"] * 4 and row[10:12] == ["75.0%", "0.0%"]
    assert "CHSIMS_SI si, A: no score: 75.0% of the answers are unparsed" in text
    found = json.loads((runs[1] / "comparison.mute.json").read_text())
    assert found["tests"] == 3 and not any("CHSIMS_SI" in one["of"] for one in found["aggregates"])


def test_diagnose_compares_no_score_of_it(data: Dataset) -> None:
    rows = [one for language in ("english", "spanish") for one in records(f"semeval2018_{language}", 40, "v_reg",
            languages=(language[:2],))]  # fmt: skip

    def tasks(silent_in: str) -> list[Answered]:
        honest = noisy(0.2)
        return [task for name in ("semeval2018_english", "semeval2018_spanish")
                for task in answered([one for one in rows if one.subset == name],
                                     lambda one: SILENT if one.subset == silent_in else honest(one))]  # fmt: skip

    found = diagnose(tasks("semeval2018_spanish"), resamples=20)
    (kept,) = [one for one in found["findings"] if one["check"] == "kept"]
    assert kept["value"] is None and kept["verdict"] == "unsure" and "no score to compare" in kept["sentence"]
    found = diagnose(tasks(""), {"silent": tasks("semeval2018_spanish")}, resamples=20)
    lost = {one["subset"]: one for one in found["findings"] if one["check"] == "lost"}
    assert (
        lost["semeval2018_spanish"]["value"] is None
        and "100.0% of the answers" in lost["semeval2018_spanish"]["sentence"]
    )
    assert lost["semeval2018_english"]["value"] == 0
    json.dumps(found, allow_nan=False)
    assert benchmark()["semeval2018_spanish"].task("v_reg").main_metric == "pearson"
