"""mmaffben ranking against scikit-learn; the documents quote its numbers."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from eval.score.ranking import mean_area, ranking
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.benchmark.grammar import Labels
from mmafflm.errors import UsageFault
from mmafflm.records import write_jsonl
from tests.data_files import write_data
from tests.eval.made_runs import records


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_area_is_scikit_learns(seed: int) -> None:
    draw = np.random.default_rng(seed)
    gold = (draw.random((60, 9)) < 0.2).astype(float)
    shares = np.round(draw.normal(size=(60, 9)) + gold, 1)  # with ties
    expected = np.mean([roc_auc_score(gold[:, at], shares[:, at]) for at in range(9)])
    assert mean_area(shares, gold) == pytest.approx(expected)


def test_a_label_that_no_row_holds_has_no_area() -> None:
    gold = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert mean_area(np.array([[2.0, 1.0], [1.0, 2.0], [0.0, 3.0]]), gold) == 1.0


def test_runs_are_ranked_by_language_and_compared_with_the_first(tmp_path: Path) -> None:
    """One run's likelihoods are the gold labels, the other's are the same for every label."""
    rows = records("XED", 40, languages=("en", "es"))
    data = write_data(tmp_path / "data", {"XED": rows})
    (subset,) = choose_subsets("XED")
    grammar = subset.tasks[0].grammar
    assert isinstance(grammar, Labels)
    for name, weight in (("right", 5.0), ("blind", 0.0)):
        logs = ({"id": row.id, "logp": [weight * (one in row.gold) for one in grammar.names]} for row in rows)  # type: ignore[operator]
        write_jsonl(tmp_path / name / "likelihoods/XED.jsonl", logs)
    runs = [tmp_path / "blind", tmp_path / "right"]
    lines = list(ranking(runs, data, subset, ["all", "en"]))
    assert [line.partition(":")[0] for line in lines] == [
        "XED, all, blind",
        "XED, all, right",
        "XED, en, blind",
        "XED, en, right",
    ]
    assert "n=80 0.500 [0.500, 0.500], +0.000 [+0.000, +0.000]" in lines[0]
    assert " 1.000 [1.000, 1.000], +0.500 [+0.500, +0.500]" in lines[1] and " n=40 1.000 " in lines[3]
    with pytest.raises(UsageFault, match="no row in de in common"):
        list(ranking(runs, data, subset, ["de"]))
    with pytest.raises(
        UsageFault, match=r"likelihoods/XED\.jsonl: does not exist\. Run: mmaffben predict --readout choice"
    ):
        list(ranking([tmp_path / "none"], data, subset, ["all"]))
    with pytest.raises(UsageFault, match="CHSIMS_SI: its answers are not labels"):
        list(ranking(runs, data, choose_subsets("CHSIMS_SI")[0], ["all"]))
