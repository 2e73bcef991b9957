"""Single labels by likelihood: does a correction for length or for the label's own likelihood help?

    python -m tests.bench.choice_bench CKPT DATA [ROWS]

Of each subset, ROWS test rows with one gold label are weighed once. Each rule picks a label from the same
log-likelihoods:

    sum     ln P(answer | question): what --readout choice uses
    token   the same, divided by the number of the answer's tokens and the end of the turn
    pmi     ln P(answer | question) - ln P(answer | the question with a content-free text), the mean over CONTENT_FREE
            (Zhao et al. 2021, Calibrate Before Use; Holtzman et al. 2021, Surface Form Competition)

Prints accuracy and macro F1 with 95% intervals, how much macro F1 differs from `sum` (paired), and the share of the
most frequent label.
"""

import sys
from pathlib import Path

import numpy as np

from eval.ask.ablation import questions
from eval.engines import Engine, Question, make_engine
from eval.score.bootstrap import distribution, interval
from eval.score.measure import measure
from eval.score.metrics import Array, Floats
from eval.score.readout import candidates
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.dataset import Dataset
from mmafflm.records import Record
from mmafflm.sampling import sample
from tests.simulations.paired_bootstrap import paired_bootstrap

CONTENT_FREE = ("N/A", "", "[MASK]")
ASKED = (("XED", "en"), ("XED", None), ("onlineshopping", None))
BATCH = 16


def chosen(data: Dataset, subset: str, language: str | None, rows: int) -> list[Record]:
    """A sample of a subset's test rows that have one gold label."""
    fit = [one for one in data.records(subset, "test")
           if len(one.gold) == 1 and language in (None, one.language)]  # type: ignore[arg-type]  # fmt: skip
    return sample(fit, rows)


def weigh(engine: Engine, asked: list[Question], texts: list[str]) -> Floats:
    """The log-likelihoods, [questions, candidates]."""
    found = dict(one for batch in engine.likelihoods(asked, range(len(asked)), texts, BATCH) for one in batch)
    return np.array([found[at] for at in range(len(asked))])


def rules(engine: Engine, task: Task, records: list[Record]) -> dict[str, Floats]:
    """Each rule's figures, [rows, candidates]; the largest of a row is its answer."""
    texts = [one.text for one in candidates(task)]
    logp = weigh(engine, questions(records), texts)
    free = weigh(engine, [Question(task.ask(text)) for text in CONTENT_FREE], texts)
    lengths = np.array([engine.tokens(text) + 1 for text in texts])
    return {"sum": logp, "token": logp / lengths, "pmi": logp - free.mean(0)}


def told(task: Task, gold: Array, found: dict[str, Floats]) -> None:
    """Print a line a rule."""
    plain = np.ones(len(gold))
    picked = {name: np.eye(gold.shape[1], dtype=bool)[of.argmax(1)] for name, of in found.items()}

    def by(name: str, weights: Floats) -> dict[str, Floats]:
        return measure(task, "strict", gold, picked[name], weights)

    for name, answers in picked.items():
        values = by(name, plain[None, :])
        drawn = distribution(lambda weights, name=name: by(name, weights), plain)  # type: ignore[misc]
        line = [f"{name:6}", f"top label {answers.mean(0).max():.2f}"]
        exact = "subset_accuracy" if "subset_accuracy" in values else "accuracy"
        for metric in (exact, "macro_f1"):
            low, high = interval(drawn[metric]) or (np.nan, np.nan)
            line.append(f"{metric.removeprefix('subset_')} {values[metric][0]:.3f} [{low:.3f}, {high:.3f}]")
        if name != "sum":
            pair = paired_bootstrap(lambda w: by("sum", w), lambda w, name=name: by(name, w), plain, "macro_f1")  # type: ignore[misc]
            line.append(f"macro_f1 against sum {pair.difference:+.3f} [{pair.low:+.3f}, {pair.high:+.3f}]")
        print("  " + ", ".join(line), flush=True)


def main(ckpt: str, data: str, rows: str = "400") -> None:
    """Weigh and print."""
    build = Dataset.open(Path(data))
    engine = make_engine("hf", ckpt, "auto", build.path, build.budget, {})
    engine.load()
    for subset, language in ASKED:
        records = chosen(build, subset, language, int(rows))
        (task,) = benchmark()[subset].tasks
        names = task.grammar.names  # type: ignore[union-attr]
        gold = np.array([[name in one.gold for name in names] for one in records])  # type: ignore[operator]
        print(f"{subset} {language or 'all languages'}, {len(records)} rows with one label, "
              f"most frequent gold label {gold.mean(0).max():.2f}")  # fmt: skip
        told(task, gold, rules(engine, task, records))


if __name__ == "__main__":
    main(*sys.argv[1:])
