import numpy as np
import pytest
import scipy
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, mean_squared_error

from eval.score.calibration import BINS, LEVELS, believed, calibration, covered, reliability, weighed_rows
from eval.score.readout import candidates, varied
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Labels, Vad
from tests.eval.made_runs import record, records

DRAW = (200, 7)


def planted(rows: int, seed: int, power: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and whether each is right with the probability confidence ** power: calibrated if power is 1."""
    draw = np.random.default_rng(seed)
    confidence = draw.uniform(0.2, 1.0, rows)
    return confidence, draw.random(rows) < confidence**power


@pytest.mark.parametrize("rows", [137, 1000])
def test_brier_and_curve_are_scikit_learns(rows: int) -> None:
    confidence, right = planted(rows, 3)
    confidence = confidence.round(2)  # with equal confidences at the edges of bins
    found = reliability(confidence, right, DRAW)
    assert found["brier"] == pytest.approx(brier_score_loss(right, confidence))
    share, mean = calibration_curve(right, confidence, n_bins=BINS, strategy="quantile")
    assert [one["right"] for one in found["curve"]] == pytest.approx(list(share))
    assert [one["confidence"] for one in found["curve"]] == pytest.approx(list(mean))
    sizes = np.array([one["n"] for one in found["curve"]])
    assert sizes.sum() == rows and sizes.max() - sizes.min() < rows / 8
    assert found["ece"] == pytest.approx((sizes * abs(share - mean)).sum() / rows)


def test_few_rows_or_one_confidence_have_fewer_bins() -> None:
    assert len(reliability(*planted(35, 1), DRAW)["curve"]) == 3
    found = reliability(np.full(50, 0.8), np.arange(50) < 30, DRAW)
    assert [one["n"] for one in found["curve"]] == [50] and found["ece"] == pytest.approx(0.2)
    assert reliability(*planted(5, 1), DRAW)["curve"][0]["n"] == 5


def test_a_calibrated_model_shows_the_ece_of_chance_and_another_more() -> None:
    honest = [reliability(*planted(500, seed), (0, 0)) for seed in range(60)]
    chance = np.mean([one["ece_by_chance"] for one in honest])
    assert np.mean([one["ece"] for one in honest]) == pytest.approx(chance, rel=0.1)
    boasting = reliability(*planted(500, 1, power=2.0), (0, 0))
    assert boasting["ece"] > 3 * boasting["ece_by_chance"]


def test_the_intervals_cover() -> None:
    """Truth: the ECE and Brier score of very many rows."""
    truth = reliability(*planted(200_000, 0, power=1.6), (0, 0))
    found = [reliability(*planted(400, seed, power=1.6), DRAW) for seed in range(1, 121)]
    for name in ("ece", "brier"):
        hits = [one["ci95"][name][0] <= truth[name] <= one["ci95"][name][1] for one in found]
        assert np.mean(hits) > 0.88, name


def test_the_likeliest_label_is_right_if_gold_has_it() -> None:
    (task,) = benchmark()["XED"].tasks
    assert isinstance(task.grammar, Labels)
    rows = [record("XED", 0, ["joy"]), record("XED", 1, ["joy", "trust"]), record("XED", 2, ["fear"])]
    logp = [[-9.0] * 9 for _ in rows]
    for at, name in enumerate(("joy", "trust", "anger")):
        logp[at][task.grammar.names.index(name)] = -9 + np.log(4)
    confidence, right = believed(task, rows, logp)
    assert right.tolist() == [True, True, False] and confidence == pytest.approx([4 / 12] * 3)


@pytest.mark.parametrize("sharp", [0.3, 3.0, 30.0])
def test_honest_distributions_cover_what_they_say_and_narrow_ones_less(sharp: float) -> None:
    draw = np.random.default_rng(5)
    values = np.linspace(0, 1, 11)
    shares = np.exp(sharp * draw.normal(size=(4000, 11)))
    shares /= shares.sum(1, keepdims=True)
    gold = np.array([draw.choice(values, p=one) for one in shares])
    assert covered(values, shares, gold).mean(0) == pytest.approx(LEVELS, abs=0.03)
    if sharp == 3.0:
        narrow = shares**4 / (shares**4).sum(1, keepdims=True)
        assert (covered(values, narrow, gold).mean(0) < np.array(LEVELS) - 0.1).all()


def test_a_value_without_probability_is_not_covered() -> None:
    shares = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert covered(np.array([0.0, 0.5, 1.0]), shares, np.array([1.0, 0.52])).tolist() == [[0] * 3, list(LEVELS)]


@pytest.mark.parametrize(("subset", "key"), [("semeval2018_english", "v_reg"), ("semeval2018_english", "v_oc"),
                                             ("EMOTIC_SI", "si"), ("FER2013", "ec")])  # fmt: skip
def test_every_kind_of_task_has_its_calibration(subset: str, key: str) -> None:
    task = benchmark()[subset].task(key)
    rows = records(subset, 40, key)
    draw = np.random.default_rng(1)
    logp = {one.id: draw.normal(size=len(candidates(task))).tolist() for one in rows}
    weighed = weighed_rows(task, rows, logp)
    assert weighed is not None
    found = calibration(task, rows, weighed, DRAW)
    assert found["n"] == 40
    if isinstance(task.grammar, Labels):
        assert 0 <= found["ci95"]["ece"][0] <= found["ci95"]["ece"][1] and len(found["curve"]) == 4
    else:
        assert set(found["coverage"]) == (set(task.grammar.dimensions) if isinstance(task.grammar, Vad) else {""})
        for name, one in found["coverage"].items():
            values, part = varied(task, name, np.array(weighed))
            assert (np.diff(values) > 0).all() and part.shape == (40, len(values))
            assert set(one["covered"]) == {"0.5", "0.8", "0.95"}
            shares = scipy.special.softmax(part, axis=1)
            means = [float(np.average(values, weights=of)) for of in shares]
            spreads = [
                np.average((values - mean) ** 2, weights=of) ** 0.5 for mean, of in zip(means, shares, strict=True)
            ]
            gold = [row.gold[name] if isinstance(row.gold, dict) else row.gold for row in rows]
            assert one["spread"] == pytest.approx(np.mean(spreads))
            assert one["rmse"] == pytest.approx(mean_squared_error(gold, means) ** 0.5)
    assert weighed_rows(task, rows, dict(list(logp.items())[1:])) is None
    assert weighed_rows(task, rows, {one: values[1:] for one, values in logp.items()}) is None
