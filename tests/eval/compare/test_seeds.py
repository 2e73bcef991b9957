"""Differences over seeds: the intervals cover where both rows and seeds vary, and the command writes and shows them."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from eval.compare.seeds import Z95, combined, compare_seeds, seed_tables
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from tests.command import mmaffben
from tests.data_files import write_data
from tests.eval.made_runs import noisy, records, write_run

SUBSETS = ("MELD_SP", "CHSIMS_SI")


@pytest.mark.parametrize("number", [2, 4])
@pytest.mark.parametrize(("rows", "seeds"), [(1.0, 0.1), (0.2, 1.0)])
def test_the_interval_covers_and_one_over_rows_does_not(number: int, rows: float, seeds: float) -> None:
    """Two models without a true difference: an error of the rows that all seeds share, and one of each seed."""
    draw = np.random.default_rng(number)
    covered, by_rows = [], []
    for _ in range(500):
        each = draw.normal(0, rows) + draw.normal(0, seeds, number)
        over = combined(each.tolist(), [2 * Z95 * rows] * number)
        covered.append(over.low <= 0 <= over.high)
        by_rows.append(abs(each.mean()) <= Z95 * rows)
        assert (over.p > 0.05) == covered[-1]
    assert 0.93 < np.mean(covered) < 0.995
    if seeds > rows:
        assert np.mean(by_rows) < 0.75


def test_without_an_error_of_rows_it_is_the_t_test() -> None:
    each = [0.1, 0.25, 0.18, 0.31]
    found, reference = combined(each, [0.0] * 4), scipy.stats.ttest_1samp(each, 0)
    low, high = reference.confidence_interval()
    assert (found.p, found.low, found.high) == pytest.approx((reference.pvalue, low, high))
    assert combined([0.2, 0.2], [0.0, 0.0]).p == 0 and combined([0.0, 0.0], [0.0, 0.0]).p == 1


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    rows = {"MELD_SP": records("MELD_SP", 60), "CHSIMS_SI": records("CHSIMS_SI", 50, languages=("zh",))}
    return write_data(tmp_path / "data", rows)


def test_the_runs_of_two_arms_are_compared_by_seed(data: Dataset, tmp_path: Path) -> None:
    for seed in range(3):
        end = f"-seed{seed + 1}" if seed else ""
        for name, wrong in (("a", 0.7), ("b", 0.1)):
            write_run(tmp_path / f"{name}{end}", data, SUBSETS, noisy(wrong, 10 * seed + len(name)))
    done = mmaffben("compare", tmp_path / "a", tmp_path / "b", "--data", data.path, "--seeds", 3, "--markdown")
    assert done.returncode == 0, done.stderr
    assert "| MELD_SP | sp |" in done.stdout and "Over 3 seeds B is better in" in done.stdout
    found = json.loads((tmp_path / "b/comparison.a.seeds.json").read_text())
    (polarity, intensity) = found["units"]
    assert [Path(b).name for _, b in found["runs"]] == ["b", "b-seed2", "b-seed3"]
    for row in (polarity, intensity):
        own = json.loads((tmp_path / "b-seed2/comparison.a-seed2.json").read_text())["units"]
        assert row["seeds"][1] in [one["difference"] for one in own]
        assert row["difference"] == pytest.approx(np.mean(row["seeds"]))
        assert row["ci95"][0] < row["difference"] < row["ci95"][1]
    assert polarity["p_holm"] >= polarity["p"]


def test_a_task_without_a_figure_for_one_seed_has_none(data: Dataset, tmp_path: Path) -> None:
    """No correlation of unparsed answers, and no mean over other tasks than with the other seed."""
    write_run(tmp_path / "base", data, SUBSETS, noisy(0.9))
    write_run(tmp_path / "b", data, SUBSETS, noisy(0.1, 1))
    mute = noisy(0.1, 2)
    write_run(tmp_path / "b-seed2", data, SUBSETS, lambda one: mute(one) if one.subset == "MELD_SP" else "?")
    found = compare_seeds(tmp_path / "base", tmp_path / "b", 2, data)
    assert {row["subset"]: row["p"] is None for row in found["units"]} == {"MELD_SP": False, "CHSIMS_SI": True}
    write_run(tmp_path / "b-seed3", data, SUBSETS[:1], noisy(0.1, 3))
    found = compare_seeds(tmp_path / "base", tmp_path / "b", 3, data)
    assert len(found["units"]) == 2 and "-" in seed_tables(found)[0][0].rows[1]


def test_an_untrained_base_is_compared_with_every_seed(data: Dataset, tmp_path: Path) -> None:
    write_run(tmp_path / "base", data, SUBSETS, noisy(0.9))
    write_run(tmp_path / "b", data, SUBSETS, noisy(0.1, 1))
    with pytest.raises(UsageFault, match=r"other seeds, such as b-seed2\. Train and predict 2 seeds"):
        compare_seeds(tmp_path / "base", tmp_path / "b", 2, data)
    write_run(tmp_path / "b-seed2", data, SUBSETS, noisy(0.2, 2))
    found = compare_seeds(tmp_path / "base", tmp_path / "b", 2, data)
    assert [Path(a).name for a, _ in found["runs"]] == ["base", "base"]
