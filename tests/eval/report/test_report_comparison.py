"""The page shows a comparison of its runs, unless the comparison is of other answers."""

import json
from pathlib import Path

import pytest

from eval.compare.compare import compare_runs
from eval.report.report import report
from eval.report.results_schema import Results
from eval.tables import fraction
from mmafflm.dataset import Dataset
from tests.eval.report.page import Page
from tests.eval.report.report_runs import made_data, made_run


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Dataset, Path, Path]:
    """Two runs, the second better, over subsets with one language and with several."""
    data = made_data(tmp_path / "data", lambda task: 60, ("FER2013", "SAMSEMO"))
    return data, made_run(data, tmp_path / "base", 0.2), made_run(data, tmp_path / "tuned", 0.9)


def test_what_was_compared_stands_on_the_page(runs: tuple[Dataset, Path, Path], tmp_path: Path) -> None:
    data, base, tuned = runs
    out = tmp_path / "report.html"
    report([base, tuned], data, out)
    page = Page(out.read_text())
    assert "mmaffben compare A B" in page.said and "#compared" not in page.loads

    found = compare_runs(base, tuned, data)
    report([base, tuned], data, out)  # written again: there is a new input file
    page = Page(out.read_text())
    assert "#compared" in page.loads and "B is tuned, A is base" in page.said
    assert f"Of {found['tests']} tests B is better in" in page.said and "SAMSEMO: no macro average" not in page.said
    for one in [*found["units"], *found["aggregates"]]:
        assert fraction(one["difference"], signed=True) in page.said
    (fer,) = [one for one in found["units"] if one["subset"] == "FER2013"]
    bold = [attrs for attrs in page.all("td") if "sure" in (attrs.get("class") or "").split()]
    assert fer["p_holm"] < 0.05 and bold
    results = json.loads((tmp_path / "report.results.json").read_text())
    (kept,) = Results.model_validate(results).comparisons
    assert (kept.a, kept.b) == ("base", "tuned") and kept.found["units"] == found["units"]


def test_a_comparison_of_other_answers_is_left_out_and_said(runs: tuple[Dataset, Path, Path], tmp_path: Path) -> None:
    data, base, tuned = runs
    compare_runs(base, tuned, data)
    file = tuned / "comparison.base.json"
    found = json.loads(file.read_text())
    found["units"][0]["b"] -= 0.01
    file.write_text(json.dumps(found))
    report([tuned, base], data, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    assert "The comparison of tuned with base was not made from these scores (FER2013 ec) and is left out." in page.said
    assert "#compared" not in page.loads
    assert json.loads((tmp_path / "report.results.json").read_text())["comparisons"] == []
