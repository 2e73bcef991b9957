"""The learned baseline: TF-IDF of character n-grams and linear models, trained on a subset's own training split.

Training can take minutes, so the baseline's answers to a subset's test records are stored in DATA/.baselines with
the hashes of both splits. Subsets with pictures or clips and subsets without a training split have no such baseline.

Character n-grams need no word boundaries, so the 35 languages are treated alike. The models are scikit-learn's ridge
regressions with its defaults, except for the settings below. Each label has a classifier with balanced classes, because
the main metric is macro F1. Numbers have a regression, with its own model for each emotion of an intensity task.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from eval.score.metrics import Array
from eval.score.readout import DECIMALS, choose
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Gold, Labels, Number, Ordinal
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault
from mmafflm.files.documents import read_json
from mmafflm.records import Record, write_text
from mmafflm.terminal.command import say

FOLDER = ".baselines"  # `mmaffin check` ignores names that begin with a dot
MOST_ROWS = 5_000  # the most training rows of a task or emotion: more rows take time and hardly change the score
MOST_CHARACTERS = 300  # the rest of a longer text is not used
NGRAMS, FEATURES = (1, 3), 50_000
SOLVER = "sparse_cg"  # a logistic regression of liblinear takes twenty times as long
LEAST_TRAINED = 20  # the fewest training rows of a task or emotion for which a model is trained
VERSION = 1  # increase it when a change of this code changes the answers


class LearnedAnswers(NamedTuple):
    """answers: the baseline's answers to the records of a subset, by id. why: the reason if there are no answers."""

    answers: dict[str, str]
    why: str = ""


def learned_answers(data: Dataset, subset: str, split: str = "test") -> LearnedAnswers:
    """The answers to the records of `split`. They are computed once for the data and then read from DATA/.baselines.

    Raises Fault for records that changed since the build.
    """
    if benchmark()[subset].modality != "text":
        return LearnedAnswers({}, "only texts have a learned baseline")
    if subset not in data.subsets("train"):
        return LearnedAnswers({}, "the data has no training split of this subset")
    files = [split_file(subset, one) for one in ("train", split)]
    made = {"version": VERSION, "scikit-learn": version("scikit-learn")}
    made |= {name: data.files[name]["sha256"] for name in files}
    path = data.path / FOLDER / f"{subset}_{split}.json"
    if (found := _kept(path, made)) is not None:
        return LearnedAnswers(found)
    data.require_unchanged(files)
    say(f"{subset}: training the TF-IDF baseline, once for this data")
    answers = answers_of(list(data.records(subset, "train")), list(data.records(subset, split)))
    try:
        write_text(path, json.dumps({"made_of": made, "answers": answers}, ensure_ascii=False))
    except OSError as error:
        say(f"{path}: could not be written ({error.strerror}), so the next command trains the baseline again")
    return LearnedAnswers(answers)


def _kept(path: Any, made: Mapping[str, Any]) -> dict[str, str] | None:
    try:
        found = read_json(path, "")
    except (FileNotFoundError, Fault):
        return None
    if found.get("made_of") != made or not isinstance(answers := found.get("answers"), dict):
        return None
    return answers if all(isinstance(one, str) for one in answers.values()) else None


def answers_of(train: Sequence[Record], asked: Sequence[Record]) -> dict[str, str]:
    """{id: answer} for the records in `asked`, from models trained on `train`.

    Records of a task or emotion with fewer than LEAST_TRAINED training rows get no answer.
    """
    found: dict[str, str] = {}
    for part, rows in _parts(asked).items():
        if len(known := _parts(train).get(part, [])) >= LEAST_TRAINED:
            found |= zip((one.id for one in rows), _answers(_task(rows[0]), known, rows), strict=True)
    return found


def _parts(records: Sequence[Record]) -> dict[tuple[str, str | None], list[Record]]:
    found: dict[tuple[str, str | None], list[Record]] = {}
    for one in records:
        found.setdefault((one.task, one.emotion), []).append(one)
    return found


def _task(record: Record) -> Task:
    return benchmark()[record.subset].task(record.task)


def _answers(task: Task, train: Sequence[Record], asked: Sequence[Record]) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    if len(train) > MOST_ROWS:
        train = [train[at * len(train) // MOST_ROWS] for at in range(MOST_ROWS)]
    words = TfidfVectorizer(analyzer="char_wb", ngram_range=NGRAMS, max_features=FEATURES, sublinear_tf=True)
    try:
        known = words.fit_transform([_text(task, one) for one in train])
    except ValueError:  # all texts are empty, so there is nothing to learn
        return [""] * len(asked)
    values = _predicted(task, known, train, words.transform([_text(task, one) for one in asked]))
    return [task.answer(value, one.emotion) for value, one in zip(values, asked, strict=True)]


def _text(task: Task, record: Record) -> str:
    return (task.text_in(record.prompt, record.emotion or "") or "")[:MOST_CHARACTERS]


def _predicted(task: Task, known: Any, train: Sequence[Record], asked: Any) -> list[Gold]:
    """An admissible value of the task for each row of `asked`."""
    from sklearn.linear_model import Ridge

    grammar = task.grammar
    if isinstance(grammar, Labels):
        return _labels(grammar, known, train, asked)
    gold = np.array([float(one.gold) for one in train])  # type: ignore[arg-type]
    numbers = Ridge(solver=SOLVER).fit(known, gold).predict(asked).clip(grammar.low, grammar.high)
    if isinstance(grammar, Ordinal):
        classes = np.array(sorted(number for number, _ in grammar.classes))
        return [int(classes[np.abs(classes - number).argmin()]) for number in numbers]
    assert isinstance(grammar, Number)
    decimals = min(DECIMALS, grammar.decimals or DECIMALS)
    return [round(float(number), decimals) for number in numbers]


def _labels(grammar: Labels, known: Any, train: Sequence[Record], asked: Any) -> list[Gold]:
    """For single labels, the label with the largest margin. For label sets, choose() with the threshold 0."""
    margins = np.full((asked.shape[0], len(grammar.names)), -np.inf)
    for at, name in enumerate(grammar.names):
        if (holds := np.array([name in one.gold for one in train])).any():  # type: ignore[operator]
            margins[:, at] = _margin(known, holds, asked)
    if grammar.most == 1:
        return [[grammar.names[at]] for at in margins.argmax(1)]
    levels = {name: 0.0 if np.isfinite(margins[:, at]).any() else None for at, name in enumerate(grammar.names)}
    return [choose(grammar, row, levels) for row in margins]


def _margin(known: Any, holds: Array, asked: Any) -> Array:
    """The classifier's margin for each row of `asked`: above 0 if the row is more likely to have the label than not.

    holds: which rows of `known` have the label, of which there must be at least one.
    """
    from sklearn.linear_model import RidgeClassifier

    if bool(np.all(holds)):
        return np.ones(asked.shape[0])
    model = RidgeClassifier(solver=SOLVER, class_weight="balanced").fit(known, holds)
    found: Array = model.decision_function(asked)
    return found
