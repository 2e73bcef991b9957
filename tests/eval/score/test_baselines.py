"""The trivial baselines are what such answers score, and the learned one is made once and says why it is missing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.score.baselines import beats_baselines, learned, strongest, trivial
from eval.score.learned import FOLDER, LearnedAnswers, answers_of, learned_answers
from eval.score.measure import answers, measure
from eval.score.score import score, score_run
from eval.score.score_table import tables
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.records import Prediction, Record
from tests.data_files import write_data
from tests.eval.made_runs import noisy, record, records, write_run


def telling(subset: str, rows: int, split: str) -> list[Record]:
    """Records whose texts tell the label."""
    names = benchmark()[subset].tasks[0].grammar.names  # type: ignore[union-attr]
    made = [
        record(subset, at, [names[at % len(names)]], text=f"so {names[at % len(names)]} today {at}")
        for at in range(rows)
    ]
    return [replace(one, id=one.id.replace(subset, f"{subset}/{split}", 1), split=split) for one in made]


TASKS = [
    ("XED", ""), ("MELD_SP", ""), ("CHSIMS_SI", ""), ("EMOTIC_SI", ""), ("semeval2018_english", "v_oc"),
    ("semeval2018_english", "e_c"),
]  # fmt: skip


@pytest.mark.parametrize(("subset", "key"), TASKS)
def test_prior_sampling_scores_what_gold_dealt_out_at_random_scores(subset: str, key: str) -> None:
    rows = records(subset, 400, key)
    task = benchmark()[subset].task(key) if key else benchmark()[subset].tasks[0]
    gold = answers(task, rows, [one.answer for one in rows], "strict").gold
    found = trivial(task, "strict", gold)["prior"]
    draw, once = np.random.default_rng(0), np.ones((1, len(gold)))
    dealt = [measure(task, "strict", gold, draw.permutation(gold), once) for _ in range(200)]
    for name, value in found.items():
        expected = 0.0 if name in ("ccc", "spearman", "qwk") else np.mean([one[name][0] for one in dealt])
        assert value == pytest.approx(expected, abs=0.012), name


def test_the_strongest_is_named_and_all_labels_are_for_sets_only() -> None:
    rows = {"XED": records("XED", 60), "MELD_SP": records("MELD_SP", 60), "CHSIMS_SI": records("CHSIMS_SI", 60)}
    said = {name: [Prediction(one.id, one.answer) for one in of] for name, of in rows.items()}
    found = score(rows, said, "strict", resamples=20)["subsets"]
    assert set(found["XED"]["baselines"]) == {"majority", "prior", "all_labels"}
    assert set(found["MELD_SP"]["baselines"]) == {"majority", "prior"}
    assert set(found["CHSIMS_SI"]["baselines"]) == {"median", "prior"}
    for name, of in found.items():
        task = benchmark()[name].tasks[0]
        best = strongest(task, of)
        assert best is not None and best.value == max(one[task.main_metric] for one in of["baselines"].values())
        assert best.value >= of["majority"][task.main_metric] and beats_baselines(task, of)
        assert learned(task, of) is None


def test_labels_drawn_from_the_prior_beat_the_majority_and_not_the_baselines() -> None:
    rows = {"XED": records("XED", 400)}
    drawn = noisy(1.0, 1)
    found = score(rows, {"XED": [Prediction(one.id, drawn(one)) for one in rows["XED"]]}, "strict")["subsets"]["XED"]
    assert found["ci95"]["macro_f1"][0] > found["majority"]["macro_f1"]
    assert not beats_baselines(benchmark()["XED"].tasks[0], found)


def test_the_learned_baseline_learns_is_kept_and_is_the_strongest(tmp_path: Path) -> None:
    rows = {"EWECT_usual": telling("EWECT_usual", 60, "test"), "onlineshopping": telling("onlineshopping", 40, "test")}
    train = telling("EWECT_usual", 90, "train")
    data = write_data(tmp_path / "data", rows | {"EWECT_usual": [*rows["EWECT_usual"], *train]})
    run = write_run(tmp_path / "run", data, rows, lambda one: one.answer)
    found = score_run(run, data, "strict")
    task = benchmark()["EWECT_usual"].tasks[0]
    scored = found["subsets"]["EWECT_usual"]
    best = strongest(task, scored)
    assert best is not None and best.name == "TF-IDF" and best.value == learned(task, scored) == 1
    assert found["subsets"]["onlineshopping"]["no_learned"] == "the data has no training split of this subset"
    (section, *_), notes = tables(found)
    assert section.heads[-2:] == ("strongest baseline", "TF-IDF")
    assert [row[-2] for row in section.rows if row[0] == "EWECT_usual"] == ["1.000 TF-IDF"]
    assert any("onlineshopping: no TF-IDF baseline" in one for one in notes)
    kept = data.path / FOLDER / "EWECT_usual_test.json"
    made = json.loads(kept.read_text())
    kept.write_text(json.dumps(made | {"answers": dict.fromkeys(made["answers"], "fear")}))
    assert set(learned_answers(data, "EWECT_usual").answers.values()) == {"fear"}, "not trained again"
    kept.write_text(json.dumps(made | {"made_of": {}}))
    assert learned_answers(data, "EWECT_usual").answers == made["answers"], "of other data: trained again, the same"


def test_a_learned_baseline_that_lacks_an_answer_is_left_out() -> None:
    rows = records("EWECT_usual", 20, languages=("zh",))
    made = LearnedAnswers({one.id: one.answer for one in rows[1:]})
    (found,) = score({"EWECT_usual": rows}, {"EWECT_usual": [Prediction(one.id, one.answer) for one in rows]}, "strict",
                     learned={"EWECT_usual": made})["subsets"].values()  # fmt: skip
    assert found["no_learned"] == "too few training rows of this task" and "tfidf" not in found["baselines"]


@pytest.mark.parametrize("key", ["ei_reg", "ei_oc", "v_reg", "v_oc", "e_c"])
def test_every_answer_is_admissible(key: str) -> None:
    task = benchmark()["semeval2018_english"].task(key)
    train = records("semeval2018_english", 30, key, seed=1)
    asked = records("semeval2018_english", 10, key, seed=2)
    found = answers_of(train, asked)
    assert set(found) == {one.id for one in asked}
    read = answers(task, asked, [found[one.id] for one in asked], "strict")
    assert not read.unparsed
    assert answers_of(train[:10], asked) == {}, "too little to train on"
