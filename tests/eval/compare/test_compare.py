import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.compare.compare import compare, compare_each, compare_runs
from eval.compare.compare_table import tables, tables_of_each
from eval.score.aggregate import Unit, mean, require_languages
from eval.score.paired import holm
from eval.score.verdict import right_rows
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from mmafflm.records import Record
from tests.command import mmaffben
from tests.data_files import write_data
from tests.eval.made_runs import answered, noisy, record, records, write_run

DRAWS = 200
MIXED = [
    *records("XED", 50, languages=("de", "en")),
    *records("MELD_SP", 60),
    *records("semeval2018_english", 25, "ei_reg"),
    *records("semeval2018_english", 50, "e_c"),
    *records("EMOTIC_SI", 50),
]


def tasks(answer) -> list:
    subsets = dict.fromkeys(one.subset for one in MIXED)
    return [task for name in subsets for task in answered([one for one in MIXED if one.subset == name], answer)]


def test_a_run_against_itself_is_all_zero() -> None:
    run = tasks(noisy(0.4))
    for mode in ("strict", "paper"):
        found, changed = compare(run, run, mode, DRAWS)
        assert changed == [] and found["tests"] == 7
        for unit in found["units"]:
            assert unit["difference"] == 0 and unit["ci95"] == [0, 0] and unit["p"] == unit["p_holm"] == 1
            assert {metric["difference"] for metric in unit["metrics"].values()} == {0}
            assert unit["changed"] == unit["fixed"] == unit["broken"] == 0
        for average in found["aggregates"]:
            assert average["difference"] == 0 and average["ci95"] == [0, 0]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_swapping_the_runs_swaps_the_signs(seed: int, left: float, right: float) -> None:
    a, b = tasks(noisy(left, seed)), tasks(noisy(right, seed + 1))
    (there, forth), (back, changed) = compare(a, b, permutations=DRAWS), compare(b, a, permutations=DRAWS)
    for one, other in zip(there["units"], back["units"], strict=True):
        assert one["difference"] == -other["difference"] and one["p"] == other["p"] and one["p_holm"] == other["p_holm"]
        assert one["ci95"] == pytest.approx([-other["ci95"][1], -other["ci95"][0]], abs=1e-12)
        assert (one["fixed"], one["broken"]) == (other["broken"], other["fixed"])
    for one, other in zip(there["aggregates"], back["aggregates"], strict=True):
        assert one["difference"] == pytest.approx(-other["difference"], abs=1e-12)
    swapped = [
        one | {"a": one["b"], "b": one["a"], "a_right": one["b_right"], "b_right": one["a_right"]} for one in forth
    ]
    assert swapped == changed


def test_a_real_difference_is_found_and_twins_are_not_told_apart() -> None:
    worse, better, twin = tasks(noisy(0.8, 1)), tasks(noisy(0.2, 2)), tasks(noisy(0.2, 3))
    found = compare(worse, better, permutations=2000).result
    assert all(unit["p_holm"] < 0.05 and unit["difference"] > 0 for unit in found["units"])
    assert all(unit["p_holm"] > 0.05 for unit in compare(better, twin, permutations=2000).result["units"])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm(p: list[float]) -> None:
    corrected = holm(p)
    order = sorted(range(len(p)), key=p.__getitem__)
    for rank, at in enumerate(order):  # the definition
        assert corrected[at] == max(min(1.0, (len(p) - before) * p[order[before]]) for before in range(rank + 1))
    assert all(one <= other <= min(1.0, len(p) * one) + 1e-12 for one, other in zip(p, corrected, strict=True))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_what_is_right() -> None:
    def right(one: Record, text: str) -> bool:
        read = answered([one], lambda _: text)[0]
        return bool(right_rows(read.task, read.read)[0])

    assert right(record("CHSIMS_SI", 0, 0.2), "0.3") and not right(record("CHSIMS_SI", 0, 0.2), "0.4")
    assert right(record("XED", 0, ["joy", "fear"]), "joy, fear") and not right(record("XED", 0, ["joy", "fear"]), "joy")
    vad = {"valence": 0.1, "arousal": 0.2, "dominance": 0.3}
    assert right(record("EMOTIC_SI", 0, vad), "valence: 0.1, arousal: 0.2, dominance: 0.3")
    assert not right(record("EMOTIC_SI", 0, vad), "valence: 0.1, arousal: 0.9, dominance: 0.3")
    assert not right(record("CHSIMS_SI", 0, 1.0), "?")


def test_means_are_of_one_metric_and_name_what_is_missing() -> None:
    found = compare(tasks(noisy(0.5, 1)), tasks(noisy(0.3, 2)), permutations=DRAWS).result
    means = {(one["over"], one["group"], one["metric"]): one for one in found["aggregates"]}
    units = {(one["subset"], one["task"], one["language"]): one for one in found["units"]}
    text = means["modality", "text", "macro_f1"]
    assert text["of"] == ["semeval2018_english e_c", "XED"] or text["of"] == ["XED", "semeval2018_english e_c"]
    both = [units["XED", "ec", None], units["semeval2018_english", "e_c", None]]
    assert text["b"] == pytest.approx(np.mean([one["b"] for one in both])) and "MMS" in text["missing"]
    german = means["language", "de", "macro_f1"]
    assert german["of"] == ["XED de"] and german["missing"] == ["MMS", "SAMSEMO"]
    assert ("language", "en", "pearson") in means and ("subset", "semeval2018_english", "macro_f1") in means
    assert "are missing" in found["macro_over_languages"]["XED"]["refused"]


def test_means_are_tested_and_corrected_for_their_number() -> None:
    found = compare(tasks(noisy(0.8, 1)), tasks(noisy(0.2, 2)), permutations=2000).result
    over_languages = [one for one in found["macro_over_languages"].values() if "refused" not in one]
    means = [*found["aggregates"], *over_languages]
    assert found["tests_of_means"] == len(means)
    assert [one["p_holm"] for one in means] == holm([one["p"] for one in means])
    (video,) = [one for one in found["aggregates"] if one["group"] == "video"]
    assert video["p_holm"] < 0.05 < video["difference"]


def test_few_rows_are_not_tested_and_the_table_says_so() -> None:
    rows = records("XED", 7, languages=benchmark()["XED"].languages)
    found = compare(answered(rows, noisy(0.9, 1)), answered(rows, noisy(0.1, 2)), permutations=1000).result
    (units, means), said = tables(found)
    by_language = [one for one in found["units"] if one["language"]]
    assert found["tests"] == 1 and all(one["p"] is None and one["p_holm"] is None for one in by_language)
    p = units.heads.index("p")
    assert [row[p] for row in units.rows[1:]] == ["too few rows for a test"] * len(by_language)
    assert any(one.startswith(f"{len(by_language)} rows of the table have fewer than 50 records") for one in said)
    over = found["macro_over_languages"]["XED"]  # all its rows together are enough
    low, high = over["ci95"]
    assert 0 < low < over["difference"] < high and over["p_holm"] < 0.05
    (row,) = [row for row in means.rows if row[0] == "languages"]
    assert row[1] == "XED" and row[means.heads.index("n")] == str(len(rows))


@pytest.mark.parametrize("rows", [1, 49])
def test_the_verdict_claims_nothing_of_few_rows(rows: int) -> None:
    asked = records("MELD_SP", rows)
    found = compare(answered(asked, lambda _: "?"), answered(asked, noisy(0)), permutations=DRAWS).result
    assert found["units"][0]["difference"] > 0 and found["tests"] == found["tests_of_means"] == 0
    assert tables(found)[1][0].startswith("Nothing was tested: a test needs 50 records")


def test_equal_runs_claim_a_difference_in_few_comparisons() -> None:
    """XED in all languages, 20 rows each, as in issue 16: bootstrap tests claimed a difference in a quarter of them.

    40 comparisons: a share of 0.05 has a standard error of 0.034.
    """
    claims, claims_of_means = 0, 0
    for seed in range(40):
        rows = records("XED", 20, languages=benchmark()["XED"].languages, seed=seed)
        a, b = (answered(rows, noisy(0.5, 2 * seed + side)) for side in (0, 1))
        found = compare(a, b, permutations=500, seed=seed).result
        claims += any(one["p_holm"] is not None and one["p_holm"] < 0.05 for one in found["units"])
        claims_of_means += found["macro_over_languages"]["XED"]["p"] < 0.05
    assert claims <= 5 and claims_of_means <= 5


def test_tasks_on_the_same_clips_are_not_taken_for_independent() -> None:
    draw = np.random.default_rng(1)

    def width(*subsets: str) -> float:
        swaps = {name: np.r_[0.0, draw.normal(0, 0.1, 4000)] for name in subsets}  # no difference, and normal swaps
        units = [
            Unit(benchmark()[name].tasks[0], None, ("en",), "macro_f1", 100, 0.5, 0.5, of) for name, of in swaps.items()
        ]
        low, high = mean(units)["ci95"]
        return high - low

    one = width("MELD_SP")
    assert width("MELD_SP", "MELD_EC") == pytest.approx(one, rel=0.1)  # as wide as a single one
    assert width("MELD_SP", "FER2013") == pytest.approx(one / np.sqrt(2), rel=0.1)  # as for independent tasks


def test_the_macro_average_refuses_missing_languages() -> None:
    languages = benchmark()["SAMSEMO"].languages
    require_languages("SAMSEMO", languages)
    with pytest.raises(Fault, match="because ko, pl are missing"):
        require_languages("SAMSEMO", languages[:3])
    rows = records("SAMSEMO", 20, languages=languages)
    a, b = answered(rows, noisy(0.5, 1)), answered(rows, noisy(0.3, 2))
    found = compare(a, b, permutations=DRAWS).result
    parts = [one["b"] for one in found["units"] if one["language"]]
    assert found["macro_over_languages"]["SAMSEMO"]["b"] == pytest.approx(np.mean(parts)) and len(parts) == 5


@pytest.fixture
def runs(tmp_path: Path):
    rows = {"MELD_SP": records("MELD_SP", 60), "CHSIMS_SI": records("CHSIMS_SI", 50, languages=("zh",))}
    data = write_data(tmp_path / "data", rows)
    a = write_run(tmp_path / "a", data, rows, noisy(0.5, 1))
    return data, a, write_run(tmp_path / "b", data, rows, noisy(0.1, 2))


def test_compare_as_a_user_types_it(runs) -> None:
    data, a, b = runs
    command = ("compare", a, b, "--data", data.path)
    done = mmaffben(*command)
    assert done.returncode == 0, done.stderr
    assert "Holm" in done.stdout and "MELD_SP" in done.stdout
    found = json.loads((b / "comparison.a.json").read_text())
    assert found["schema"] == 3 and found["a"]["run"] == str(a) and found["tests"] == 2
    rows = [json.loads(line) for line in (b / "comparison.a.jsonl").read_text().splitlines()]
    assert sum(unit["changed"] for unit in found["units"]) == len(rows) > 0
    assert all(set(row) == {"id", "gold", "a", "b", "a_right", "b_right"} for row in rows)
    fixed = sum(row["b_right"] and not row["a_right"] for row in rows)
    assert fixed == sum(unit["fixed"] for unit in found["units"])
    again = shutil.copytree(b, b.with_name("again"))
    shown = mmaffben("compare", a, b, again, "--data", data.path, "--markdown")
    assert "| MELD_SP | sp |  | macro_f1 | again |" in shown.stdout, shown.stderr


def test_several_runs_are_compared_with_one_in_one_table(runs, tmp_path: Path) -> None:
    data, a, b = runs
    c = write_run(tmp_path / "c", data, ["MELD_SP", "CHSIMS_SI"], noisy(0.45, 3))
    found = compare_each(a, [b, c], data, "strict")
    assert found == [compare_runs(a, b, data), compare_runs(a, c, data)]  # and the files are those of the pairs
    assert json.loads((c / "comparison.a.json").read_text()) == found[1]
    (units, *_), sentences = tables_of_each(found)
    assert units.heads[3:6] == ("metric", "run B", "A")
    assert [(row[0], row[4]) for row in units.rows] == [
        ("MELD_SP", "b"), ("MELD_SP", "c"), ("CHSIMS_SI", "b"), ("CHSIMS_SI", "c"),
    ]  # fmt: skip
    expected = holm([one["units"][at]["p"] for one in found for at in range(2)])
    shown = {(row[4], row[0]): row[units.heads.index("p (Holm)")] for row in units.rows}
    order = [("b", "MELD_SP"), ("b", "CHSIMS_SI"), ("c", "MELD_SP"), ("c", "CHSIMS_SI")]
    assert [shown[one] for one in order] == [f"{p:.4f}" for p in expected]
    assert "4 tests of all 2 runs" in sentences[0]
    assert sum("In fixed and broken, an answer is right" in one for one in sentences) == 1
    assert any(one.startswith("c: Of 2 tests") for one in sentences)
    assert tables_of_each(found[:1]) == tables(found[0])


def test_a_wrong_run_is_reported_before_any_is_compared(runs, tmp_path: Path) -> None:
    data, a, b = runs
    wrong = write_run(tmp_path / "c", data, ["MELD_SP"], noisy(0.1), limit=30)
    with pytest.raises(Fault, match=r"were evaluated differently .*limit"):
        compare_each(a, [b, wrong], data, "strict")
    assert not list(b.glob("comparison.*"))


@pytest.mark.parametrize(
    ("name", "value"), [("limit", 30), ("ablation", "blank"), ("readout", "expectation"), ("data_hash", "0")]
)
def test_another_test_is_refused_unless_told(runs, tmp_path: Path, name: str, value: object) -> None:
    data, a, _ = runs
    b = write_run(tmp_path / "c", data, ["MELD_SP", "CHSIMS_SI"], noisy(0.1), **{name: value})
    with pytest.raises(Fault, match=f"were evaluated differently .*{name}.*--anyway"):
        compare_runs(a, b, data)
    assert any(name in note for note in compare_runs(a, b, data, anyway=True)["notes"])


def test_only_records_that_both_answered_are_compared(runs) -> None:
    data, a, b = runs
    file = b / "predictions/MELD_SP.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:50]))
    found = compare_runs(a, b, data)
    assert {unit["subset"]: unit["n"] for unit in found["units"]} == {"MELD_SP": 50, "CHSIMS_SI": 50}
    assert any("50 records compared" in note for note in found["notes"])
    file.write_text("".join([*lines, lines[0]]))
    with pytest.raises(Fault, match="occurs twice"):
        compare_runs(a, b, data)
    file.write_text(lines[0].replace("MELD_SP/", "MELD_XX/"))
    with pytest.raises(Fault, match="is not the id of a record"):
        compare_runs(a, b, data)
    file.write_text("")
    with pytest.raises(Fault, match="no record in common"):
        compare_runs(a, b, data)


def test_paper_mode_has_no_correlation_for_a_constant(runs, tmp_path: Path) -> None:
    data, a, _ = runs
    flat = write_run(tmp_path / "flat", data, ["CHSIMS_SI"], lambda one: "0.0")
    (unit,) = compare_runs(a, flat, data, "paper")["units"]
    assert unit["b"] is None and unit["difference"] is None and unit["ci95"] is None
    (strict,) = compare_runs(a, flat, data)["units"]
    assert strict["b"] == 0 and strict["difference"] < 0 and math.isfinite(strict["p"])


def test_dialogues_are_swapped_as_a_whole_and_named() -> None:
    rows = [replace(one, group=f"dialogue:{at // 6}") for at, one in enumerate(records("MELD_SP", 60))]
    a, b = answered(rows, noisy(0.5, 1)), answered(rows, noisy(0.3, 2))
    found = compare(a, b, permutations=DRAWS).result
    assert found["units"][0]["unit"] == "dialogue"
    assert any("in MELD_SP sp a dialogue as a whole" in one for one in tables(found)[1])
    alone = answered(records("MELD_SP", 60), noisy(0.5, 1)), answered(records("MELD_SP", 60), noisy(0.3, 2))
    single = compare(*alone, permutations=DRAWS).result["units"][0]
    assert single["unit"] == "row" and single["difference"] == found["units"][0]["difference"]
    assert single["ci95"] != found["units"][0]["ci95"]
