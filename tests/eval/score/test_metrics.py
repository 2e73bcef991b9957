import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from eval.score import metrics
from eval.score.bootstrap import RESAMPLES, distribution, interval

pytestmark = pytest.mark.filterwarnings("ignore")
SEEDS = range(6)


def numbers(seed, rows=200):
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=rows)
    return gold.round(1), (gold + rng.normal(size=rows)).round(1), rng


def labels(seed, classes=5, rows=120, single=False):
    """The last class never occurs; some rows have no prediction."""
    rng = np.random.default_rng(seed)
    if single:
        gold = np.eye(classes + 1, dtype=bool)[rng.integers(0, classes, rows)][:, :classes]
        other = np.eye(classes + 1, dtype=bool)[rng.integers(0, classes + 1, rows)][:, :classes]
        keep = rng.random(rows) < 0.5
        prediction = np.where(keep[:, None], gold, other)
    else:
        gold, prediction = rng.random((rows, classes)) < 0.3, rng.random((rows, classes)) < 0.4
    if seed % 2:
        gold[:, -1] = prediction[:, -1] = False
    return gold, prediction, rng


def resample(rng, rows):
    drawn = rng.integers(0, rows, (3, rows))
    return drawn, np.stack([np.bincount(one, minlength=rows) for one in drawn]).astype(float)


def sk_macro(**options):
    return lambda g, p: reference.f1_score(g, p, average="macro", **options)


def of_counts(metric, **options):
    return lambda *rows: metric(metrics.label_counts(*rows), **options)


def lin(gold, prediction):
    covariance = np.cov(gold, prediction, bias=True)
    return 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + (gold.mean() - prediction.mean()) ** 2)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (metrics.pearson, lambda g, p: stats.pearsonr(g, p)[0]),
        (metrics.spearman, lambda g, p: stats.spearmanr(g, p)[0]),
        (metrics.mae, reference.mean_absolute_error),
        (metrics.ccc, lin),
    ],
)
def test_numbers_against_scipy_whole_and_resampled(ours, theirs, seed):
    gold, prediction, rng = numbers(seed)
    assert ours(gold, prediction)[0] == pytest.approx(theirs(gold, prediction), abs=1e-9)
    drawn, weights = resample(rng, len(gold))
    assert ours(gold, prediction, weights) == pytest.approx([theirs(gold[d], prediction[d]) for d in drawn], abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (of_counts(metrics.accuracy), reference.accuracy_score),
        (of_counts(metrics.micro_f1), lambda g, p: reference.f1_score(g, p, average="micro")),
        (of_counts(metrics.macro_f1), sk_macro(zero_division=0)),
        (of_counts(metrics.macro_f1, zero_division=1.0), sk_macro(zero_division=1)),
        (of_counts(metrics.weighted_jaccard), lambda g, p: reference.jaccard_score(g, p, average="weighted")),
    ],
)
@pytest.mark.parametrize("single", [False, True])
def test_label_sets_against_sklearn_whole_and_resampled(ours, theirs, seed, single):
    gold, prediction, rng = labels(seed, single=single)
    assert ours(gold, prediction)[0] == pytest.approx(theirs(gold, prediction), abs=1e-9)
    drawn, weights = resample(rng, len(gold))
    assert ours(gold, prediction, weights) == pytest.approx([theirs(gold[d], prediction[d]) for d in drawn], abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_single_classes_against_sklearn(seed):
    rng = np.random.default_rng(seed)
    gold, prediction = rng.integers(0, 3, 40), rng.integers(0, 4, 40)  # class 3 is only ever predicted
    one_hot = np.eye(5, dtype=bool)
    counts = metrics.label_counts(one_hot[gold], one_hot[prediction])
    ours = metrics.macro_f1(counts, zero_division=None)[0]
    assert ours == pytest.approx(reference.f1_score(gold, prediction, average="macro"))
    balanced = metrics.balanced_accuracy(counts)[0]
    assert balanced == pytest.approx(reference.balanced_accuracy_score(gold, prediction))
    kappa = metrics.qwk(gold.astype(float) - 3, prediction.astype(float) - 3)[0]
    assert kappa == pytest.approx(
        reference.cohen_kappa_score(gold, prediction, weights="quadratic", labels=range(4)), abs=1e-9
    )


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3])
def test_a_constant_has_no_correlation_and_no_noise_for_one(constant):
    gold = np.linspace(0, 1, 50)
    prediction = np.full(50, constant)
    _, weights = resample(np.random.default_rng(0), 50)
    for metric in (metrics.pearson, metrics.spearman):
        assert np.isnan(metric(gold, prediction)).all()
        assert np.isnan(metric(gold, prediction, weights)).all()
    almost = prediction.copy()
    almost[0] += 0.5
    weights[:, 0] = 0  # constant in the resample only
    assert np.isnan(metrics.pearson(gold, almost, weights)).all()


@pytest.mark.parametrize("repeats", [1, 40])
def test_the_bootstrap_is_that_of_rows(repeats):
    """Both ways of counting agree with drawing rows; with 1,000 resamples an interval has a few percent of noise."""
    gold, prediction, rng = labels(1, rows=60, single=True)
    counts = np.full(60, float(repeats))

    def measure(weights):
        return {"accuracy": metrics.accuracy(metrics.label_counts(gold, prediction, weights))}

    ours = distribution(measure, counts)["accuracy"]
    right = np.repeat((gold == prediction).all(1), repeats)
    rows = right[rng.integers(0, len(right), (4000, len(right)))].mean(1)
    assert ours.mean() == pytest.approx(rows.mean(), abs=0.01)
    assert ours.std() == pytest.approx(rows.std(), rel=0.1)
    assert interval(ours) == pytest.approx(np.percentile(rows, [2.5, 97.5]), abs=0.2 * rows.std())
    assert len(ours) == RESAMPLES


@pytest.mark.parametrize("repeats", [1, 40])
def test_the_seed_decides_the_resamples(repeats):
    """For both ways of counting, two seeds give different resamples of the same rows."""
    right, counts = np.arange(60) % 3 == 0, np.full(60, float(repeats))

    def measure(weights):
        return {"accuracy": weights @ right / weights.sum(axis=1)}

    one, again, other = (distribution(measure, counts, 50, seed)["accuracy"] for seed in (1, 1, 2))
    assert (one == again).all() and (one != other).any() and len(set(one.tolist())) > 5


def test_small_numbers_correlate_as_large_ones_do():
    rng = np.random.default_rng(4)
    gold, prediction = rng.normal(size=(2, 40))
    for scale in (1e-9, 1e9):
        assert metrics.pearson(gold * scale, prediction * scale) == pytest.approx(metrics.pearson(gold, prediction))


def test_many_distinct_rows_are_resampled_in_pieces_of_equal_kind():
    """The counts of 3,000 rows and 1,000 resamples do not fit into one piece."""
    rows = 3000
    right = np.arange(rows) % 2 == 0
    drawn = distribution(lambda weights: {"n": weights.sum(1), "share": weights @ right / rows}, np.ones(rows))
    assert drawn["n"].tolist() == [rows] * RESAMPLES
    assert len(set(drawn["share"].tolist())) > 100 and drawn["share"].std() == pytest.approx(0.5 / rows**0.5, rel=0.1)
