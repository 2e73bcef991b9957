"""The score lost without a modality has the paired permutation test of `mmaffben compare`."""

from dataclasses import replace

import pytest

from eval.compare.compare import compare
from eval.diagnosis.diagnose import diagnose
from mmafflm.records import Record
from tests.eval.made_runs import answered, noisy, records

DRAWS = 2000


def lost(rows: list[Record], seed: int = 5) -> tuple[dict, dict]:
    """What diagnose finds of the score lost with grey pictures, and what compare finds of the same two runs."""
    whole, grey = answered(rows, noisy(0.3, seed)), answered(rows, noisy(0.6, seed + 1))
    (found,) = [
        one
        for one in diagnose(whole, {"blank": grey}, DRAWS)["findings"]
        if (one["check"], one["part"]) == ("lost", "blank")
    ]
    return found, compare(grey, whole, permutations=DRAWS).result["units"][0]


@pytest.mark.parametrize("subset", ["MELD_SP", "CHSIMS_SI", "EMOTIC_SI"])
def test_the_loss_and_its_interval_are_those_of_compare(subset: str) -> None:
    found, compared = lost(records(subset, 200))
    assert found["value"] == pytest.approx(compared["difference"]) and found["value"] > 0
    width, other = (high - low for low, high in (found["ci95"], compared["ci95"]))
    assert width == pytest.approx(other, rel=0.1)  # other swaps: each check has its own seed


def test_groups_are_swapped_as_a_whole() -> None:
    rows = [replace(one, group=f"dialogue:{at // 12}") for at, one in enumerate(records("MELD_SP", 360))]
    found, compared = lost(rows)
    assert compared["unit"] == "dialogue" and found["ci95"][1] - found["ci95"][0] == pytest.approx(
        compared["ci95"][1] - compared["ci95"][0], rel=0.1
    )


def test_fewer_rows_than_compare_tests_are_not_tested() -> None:
    found, compared = lost(records("MELD_SP", 45))
    assert compared["p"] is None and found["p"] is None and found["verdict"] == "unsure"
    found, compared = lost(records("MELD_SP", 55))
    assert compared["p"] is not None and found["p"] is not None
