"""How far a score moves when the test rows are chosen otherwise: for docs/reference/differences.md.

    python -m tests.bench.differences_bench RAW DATA

RAW/meld has MELD's tables; DATA is a build of XED and onlineshopping. The model is always logistic regression on
hashed character n-grams, fitted once on training rows that are in no test set. Only the
test rows change. MELD: the 2,610 rows of the table against rules that leave the published 2,530. XED and
onlineshopping: REPEATS samples of the published size, each stratified by label (as ours) or not.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.multiclass import OneVsRestClassifier

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Labels
from mmafflm.dataset import Dataset
from mmafflm.records import Record

Rows = NDArray[np.int64]
REPEATS = 200
FITTED, DRAWN_FROM = 10_000, 40_000  # training rows of XED and onlineshopping: to fit, and to draw tests from
EXTRA = 80  # 2,610 - 2,530


def texts_of(rows: list[str]) -> object:
    """Hashed character n-grams of each text."""
    return HashingVectorizer(analyzer="char_wb", ngram_range=(1, 4), n_features=2**18).transform(rows)


def model() -> SGDClassifier:
    """Logistic regression."""
    return SGDClassifier(loss="log_loss", alpha=1e-6, random_state=0, class_weight="balanced")


def meld_rules(rows: list[dict[str, str]]) -> Iterator[tuple[str, Rows]]:
    """Rules that leave 2,530 rows, and draws of as many."""
    everything = np.arange(len(rows))
    dialogue = np.array([int(row["Dialogue_ID"]) for row in rows])
    starts = [(row["Dialogue_ID"], row["StartTime"]) for row in rows]
    yield "all rows", everything
    yield "dialogues 0 to 268", everything[dialogue <= 268]
    yield "without dialogues 97 to 105", everything[(dialogue < 97) | (dialogue > 105)]
    yield "without equal starts in a dialogue", everything[[starts.count(one) == 1 for one in starts]]
    yield "without the 80 shortest", everything[np.argsort([seconds(row) for row in rows], kind="stable")[EXTRA:]]


def seconds(row: dict[str, str]) -> float:
    """The length of an utterance, from times such as 00:16:59,240."""

    def at(text: str) -> float:
        hours, minutes, rest = text.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(rest.replace(",", "."))

    return at(row["EndTime"]) - at(row["StartTime"])


def meld(raw: Path) -> None:
    """Print macro F1 and accuracy of both labels of MELD under each rule."""
    train, test = (
        list(csv.DictReader((raw / f"meld/{split}_sent_emo.csv").open(encoding="utf-8", newline="")))
        for split in ("train", "test")
    )
    draw = np.random.default_rng(1)
    for label in ("Emotion", "Sentiment"):
        fitted = model().fit(texts_of([row["Utterance"] for row in train]), [row[label] for row in train])
        answer = fitted.predict(texts_of([row["Utterance"] for row in test]))
        gold = np.array([row[label] for row in test])
        for name, kept in meld_rules(test):
            told(f"MELD {label}, {name} ({len(kept)})", gold[kept], answer[kept])
        left = [draw.permutation(len(test))[EXTRA:] for _ in range(REPEATS)]
        spread(f"MELD {label}, any 2,530 rows", [f1(gold[kept], answer[kept]) for kept in left])


def f1(gold: NDArray[np.generic], answer: NDArray[np.generic]) -> float:
    """Macro F1."""
    return float(f1_score(gold, answer, average="macro", zero_division=0))


def told(name: str, gold: NDArray[np.generic], answer: NDArray[np.generic]) -> None:
    """Print both metrics."""
    print(f"{name}: macro F1 {f1(gold, answer):.4f}, accuracy {accuracy_score(gold, answer):.4f}", flush=True)


def spread(name: str, scores: list[float]) -> None:
    """Print the mean and the spread over samples."""
    low, high = np.percentile(scores, [2.5, 97.5])
    print(f"{name}: macro F1 {np.mean(scores):.4f}, standard deviation {np.std(scores):.4f}, "
          f"95% of samples {low:.4f} to {high:.4f}", flush=True)  # fmt: skip


def drawn(strata: NDArray[np.generic], size: int, stratified: bool, draw: np.random.Generator) -> Rows:
    """A sample of rows; stratified: each stratum has its share."""
    if not stratified:
        return draw.permutation(len(strata))[:size]
    order = np.lexsort((draw.random(len(strata)), strata))
    return order[np.linspace(0, len(strata) - 1, size).round().astype(int)]  # an even walk through the sorted rows


def sampled(data: Dataset, subset: str, size: int) -> None:
    """Print the spread over samples of `size` rows (a language, where there are several)."""
    grammar = benchmark()[subset].tasks[0].grammar
    assert isinstance(grammar, Labels)
    rows: list[Record] = list(data.records(subset, "train"))
    order = np.random.default_rng(0).permutation(len(rows))[: FITTED + DRAWN_FROM]
    words = [benchmark()[subset].tasks[0].text_in(rows[at].prompt) or "" for at in order]
    gold = np.array([[name in rows[at].gold for name in grammar.names] for at in order])  # type: ignore[operator]
    kept = gold.any(0)
    fitted = OneVsRestClassifier(model()).fit(texts_of(words[:FITTED]), gold[:FITTED][:, kept])
    answer = np.zeros_like(gold)
    answer[FITTED:, kept] = fitted.predict(texts_of(words[FITTED:])).astype(bool)
    language = np.array([rows[at].language for at in order])[FITTED:]
    gold, answer, draw = gold[FITTED:], answer[FITTED:], np.random.default_rng(1)
    strata = gold @ (1 << np.arange(gold.shape[1]))
    for stratified in (True, False):
        of = [np.flatnonzero(language == one) for one in np.unique(language)]
        scores = [
            float(np.mean([f1(gold[at], answer[at])
                           for part in of for at in [part[drawn(strata[part], size, stratified, draw)]]]))
            for _ in range(REPEATS if len(of) == 1 else REPEATS // 10)
        ]  # fmt: skip
        kind = "stratified by label" if stratified else "plain"
        spread(f"{subset}, samples of {size} a language, {kind}, mean over {len(of)} languages", scores)
        one = of[0]
        alone = [f1(gold[at], answer[at]) for _ in range(REPEATS)
                 for at in [one[drawn(strata[one], size, stratified, draw)]]]  # fmt: skip
        spread(f"{subset}, samples of {size}, {kind}, language {language[one[0]]} alone", alone)


if __name__ == "__main__":
    meld(Path(sys.argv[1]))
    build = Dataset.open(Path(sys.argv[2]))
    sampled(build, "onlineshopping", 2500)
    sampled(build, "XED", 500)
