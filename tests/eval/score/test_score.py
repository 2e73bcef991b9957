import json
import math

import pytest

from eval.run.import_answers import import_answers
from eval.score.baselines import beats_baselines
from eval.score.figure import figure
from eval.score.score import score, score_run
from eval.score.score_table import tables
from eval.tables import markdown
from mmafflm.benchmark.benchmark import benchmark, paper_scores
from mmafflm.benchmark.grammar import Labels, Ordinal, Vad
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import Prediction, write_jsonl
from mmafflm.sampling import sample
from tests.data_files import write_data
from tests.eval.made_runs import record

pytestmark = pytest.mark.filterwarnings("ignore")


def gold_of(task, number):
    grammar = task.grammar
    if isinstance(grammar, Labels):
        return [grammar.names[number % len(grammar.names)]]
    if isinstance(grammar, Ordinal):
        return grammar.classes[number % len(grammar.classes)][0]
    value = round(grammar.low + (grammar.high - grammar.low) * (number % 11) / 10, 1)
    return dict.fromkeys(grammar.dimensions, value) if isinstance(grammar, Vad) else value


def whole_benchmark(rows=30):
    return {
        name: [
            record(name, number, gold_of(task, number), task.key, language, emotion)
            for task in subset.tasks
            for language in subset.languages[:3] or ("en",)
            for emotion in task.emotions or (None,)
            for number in range(rows)
        ]
        for name, subset in benchmark().items()
    }


def answered(records, text=None):
    return [Prediction(one.id, one.answer if text is None else text) for one in records]


def tasks_of(scores):
    for name, found in scores["subsets"].items():
        for key, one in found.get("tasks", {benchmark()[name].tasks[0].key: found}).items():
            yield benchmark()[name].task(key), one


@pytest.mark.parametrize("mode", ["strict", "paper"])
def test_perfect_answers_to_all_18_subsets(mode):
    records = whole_benchmark()
    scores = score(records, {name: answered(rows) for name, rows in records.items()}, mode, resamples=20)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores
    assert list(scores["subsets"]["semeval2018_english"]["tasks"]) == ["ei_reg", "ei_oc", "v_oc", "v_reg", "e_c"]
    for task, found in tasks_of(scores):
        lost = mode == "paper" and task.subset in ("SAMSEMO", "EMOTIC_EC", "EMOTIC_SI")  # "99.", "valence: -1": quirks
        for name, value in found["metrics"].items():
            if not lost:
                assert value == pytest.approx(0 if name == "mae" else 1), (task.subset, task.key, name)
        assert set(found["ci95"]) == set(found["metrics"])
    assert set(scores["subsets"]["XED"]["by_language"]) == {"ar", "bg", "br"}
    assert scores["subsets"]["XED"]["by_language"]["br"]["n"] == 30


def test_no_answer_is_wrong_and_never_a_class_of_its_own():
    records = whole_benchmark()
    scores = score(records, {name: answered(rows, "hm") for name, rows in records.items()}, "strict", resamples=5)
    for task, found in tasks_of(scores):
        assert found["unparsed"] == found["n"] == len(found["unparsed_rows"]["ids"])
        assert len(found["unparsed_rows"]["examples"]) == 20
        if isinstance(task.grammar, Labels):
            assert set(found["metrics"].values()) == {0}
        else:
            low, high = task.grammar.low, task.grammar.high
            golds = [one.gold for one in records[task.subset] if one.task in (task.kind, task.key)]
            values = [value for gold in golds for value in (gold.values() if isinstance(gold, dict) else [gold])]
            farthest = [max(value - low, high - value) for value in values]
            assert found["metrics"]["mae"] == pytest.approx(sum(farthest) / len(farthest)), task.name
            assert found["metrics"]["pearson"] <= 0 and found["metrics"]["mae"] > found["majority"]["mae"]


def half_said(rows, silent):
    """The gold answer, but no admissible answer in the first `silent` rows."""
    return [Prediction(one.id, "hm" if at < silent else one.answer) for at, one in enumerate(rows)]


@pytest.mark.parametrize("mode", ["strict", "paper"])
def test_a_number_that_most_answers_do_not_give_has_no_figure(mode):
    rows = [record("CHSIMS_SI", n, round(n / 10 - 1, 1)) for n in range(21)]
    for silent, shown in ((10, True), (11, False)):
        scores = score({"CHSIMS_SI": rows}, {"CHSIMS_SI": half_said(rows, silent)}, mode, resamples=20)
        found = scores["subsets"]["CHSIMS_SI"]
        assert isinstance(found["metrics"]["pearson"], float) and len(found["ci95"]["pearson"]) == 2
        (section, means, _), notes = tables(scores)
        assert means.rows[0][:2] == ("video", "pearson") and (means.rows[0][2] == "-") is not shown
        value, interval, rows_asked, unparsed = section.rows[0][3:7]
        assert ((value, interval) == ("-", "-")) is not shown and (rows_asked, unparsed) == ("21", f"{silent / 21:.1%}")
        assert ("withheld" in found) is not shown
        assert any("52.4% of the answers are unparsed" in note for note in notes) is not shown
        assert not any("outside of its interval" in note for note in notes) or shown
        assert shown or not beats_baselines(benchmark()["CHSIMS_SI"].tasks[0], found)


def test_labels_keep_their_figure_and_one_silent_emotion_takes_that_of_the_mean():
    rows = [record("MELD_SP", n, [["negative", "neutral", "positive"][n % 3]]) for n in range(30)]
    scores = score({"MELD_SP": rows}, {"MELD_SP": half_said(rows, 29)}, "strict", resamples=5)
    assert "withheld" not in scores["subsets"]["MELD_SP"]  # an unparsed label just counts as wrong
    rows = [
        record("semeval2018_english", n, n / 20, "ei_reg", emotion=emotion)
        for emotion in ("anger", "joy")
        for n in range(20)
    ]
    name = "semeval2018_english"
    scores = score({name: rows}, {name: half_said(rows, 11)}, "strict", resamples=5)
    assert "55.0% of the answers about anger" in scores["subsets"][name]["tasks"]["ei_reg"]["withheld"]


def test_one_unparsed_polarity_costs_a_class_in_paper_mode_only():
    names = ["negative", "neutral", "positive"]
    records = {"MELD_SP": [record("MELD_SP", n, [names[n % 3]]) for n in range(30)]}
    predictions = {"MELD_SP": [*answered(records["MELD_SP"][:-1]), Prediction(records["MELD_SP"][-1].id, "?")]}
    paper = score(records, predictions, "paper", resamples=5)["subsets"]["MELD_SP"]["metrics"]["macro_f1"]
    strict = score(records, predictions, "strict", resamples=5)["subsets"]["MELD_SP"]["metrics"]["macro_f1"]
    last = 2 * 9 / 19
    assert paper == pytest.approx((2 + last + 0) / 4) and strict == pytest.approx((2 + last) / 3)


def test_a_constant_has_null_pearson_in_paper_mode_and_0_in_strict_with_a_note():
    records = {"CHSIMS_SI": [record("CHSIMS_SI", n, n / 10) for n in range(10)]}
    predictions = {"CHSIMS_SI": answered(records["CHSIMS_SI"], "0.2")}
    paper = score(records, predictions, "paper", resamples=5)["subsets"]["CHSIMS_SI"]
    strict = score(records, predictions, "strict", resamples=5)["subsets"]["CHSIMS_SI"]
    assert paper["metrics"]["pearson"] is None and paper["ci95"]["pearson"] is None
    assert strict["metrics"]["pearson"] == 0 and "constant prediction" in strict["notes"][0]
    assert strict["majority"]["pearson"] == 0


def test_emotions_are_scored_alone_and_averaged():
    records = [
        record("semeval2018_english", n, n / 10, "ei_reg", emotion=emotion)
        for emotion in ("anger", "joy")
        for n in range(10)
    ]
    texts = [one.answer if one.emotion == "anger" else f"{0.9 - one.gold:.1f}" for one in records]
    predictions = [Prediction(one.id, text) for one, text in zip(records, texts, strict=True)]
    found = score({"semeval2018_english": records}, {"semeval2018_english": predictions}, "strict", resamples=5)
    metrics = found["subsets"]["semeval2018_english"]["tasks"]["ei_reg"]["metrics"]
    assert metrics["pearson_anger"] == pytest.approx(1) and metrics["pearson_joy"] == pytest.approx(-1)
    assert metrics["pearson"] == pytest.approx(0)


def test_missing_double_and_foreign_answers_are_named():
    records = {"XED": [record("XED", n, ["joy"]) for n in range(5)]}
    full = answered(records["XED"])
    for predictions, kind, name in [
        (full[1:], "1 missing", full[0].id),
        ([*full, full[2]], "1 repeated", full[2].id),
        ([*full, Prediction("other/1", "joy")], "1 unknown", "other/1"),
    ]:
        with pytest.raises(Fault, match=kind) as fault:
            score(records, {"XED": predictions}, "strict", resamples=0)
        assert name in str(fault.value) and "To fix it" in str(fault.value)
    with pytest.raises(UsageFault, match="lenient"):
        score(records, {"XED": full}, "lenient")


@pytest.fixture
def imported(tmp_path):
    records = {
        "XED": [record("XED", n, ["joy"], language=language) for language in ("de", "en") for n in range(10)],
        "onlineshopping": [record("onlineshopping", n, ["positive"], language="zh") for n in range(4)],
    }
    data = write_data(tmp_path / "data", records)
    generated = tmp_path / "generated_predictions.jsonl"
    rows = [one for name in ("onlineshopping", "XED") for one in records[name]]
    write_jsonl(generated, ({"prompt": "?", "predict": one.answer, "label": one.answer + "\n"} for one in rows))
    return data, generated, tmp_path / "run"


def test_an_imported_run_is_scored_and_written(imported):
    data, generated, run = imported
    import_answers([generated], data, run, ["onlineshopping", "XED"])
    scores = score_run(run, data, "strict")
    assert json.loads((run / "scores.strict.json").read_text()) == scores
    assert list(scores["subsets"]) == ["onlineshopping", "XED"] and scores["subsets"]["XED"]["metrics"]["accuracy"] == 1
    assert list(score_run(run, data, "paper", ["XED"])["subsets"]) == ["XED"]


def test_an_import_that_does_not_agree_writes_nothing(imported):
    data, generated, run = imported
    with pytest.raises(Fault, match=r"jsonl:1: its label is '1\. positive', but XED/"):
        import_answers([generated], data, run, ["XED", "onlineshopping"])
    with pytest.raises(Fault, match="24 rows, but onlineshopping have 4"):
        import_answers([generated], data, run, ["onlineshopping"])
    assert not run.exists()


def test_a_limited_run_is_scored_on_its_rows(imported):
    data, generated, run = imported
    import_answers([generated], data, run, ["onlineshopping", "XED"])
    described = json.loads((run / "run.json").read_text()) | {"limit": 6}
    (run / "run.json").write_text(json.dumps(described))
    with pytest.raises(Fault, match="14 unknown"):
        score_run(run, data, "strict", ["XED"])
    lines = (run / "predictions/XED.jsonl").read_text().splitlines()
    first = [*lines[:3], *lines[10:13]]  # the rows of a limit in versions before it drew a sample
    (run / "predictions/XED.jsonl").write_text("\n".join(first) + "\n")
    with pytest.raises(Fault, match=r"5 missing .* 5 unknown .* predict again into another folder"):
        score_run(run, data, "strict", ["XED"])
    asked = {one.id for one in sample(list(data.records("XED", "test")), 6)}
    kept = [line for line in lines if json.loads(line)["id"] in asked]
    (run / "predictions/XED.jsonl").write_text("\n".join(kept) + "\n")
    scores = score_run(run, data, "strict", ["XED"])
    found = scores["subsets"]["XED"]
    assert scores["limit"] == 6 and found["sample"] == {"limit": 6, "of": 20}
    assert found["by_language"]["de"]["n"] == 3 and found["by_language"]["de"]["sample"] == {"limit": 6, "of": 10}
    (whole, _, _, languages), _ = tables(scores)
    assert "a sample of at most 6 rows" in whole.title
    assert "6 of 20" in whole.rows[0] and "3 of 10" in languages.rows[0]


def test_changed_or_other_data_is_refused(imported):
    data, generated, run = imported
    import_answers([generated], data, run, ["onlineshopping", "XED"])
    with pytest.raises(Fault, match="answers are to other data"):
        score_run(run, Dataset(data.path, data.manifest | {"data_hash": "0"}), "strict")
    with (data.path / "mmaffben/XED_test.jsonl").open("a") as out:
        out.write("\n")
    with pytest.raises(Fault, match=r"XED_test\.jsonl: changed after the build"):
        score_run(run, data, "strict")
    assert not (run / "scores.strict.json").exists()


def test_the_table_shows_doubt_and_the_papers_figures_in_paper_mode_only():
    records = {"MMS": [record("MMS", n, [["negative", "neutral", "positive"][n % 3]], language="de") for n in range(9)]}
    for mode, shown in (("paper", True), ("strict", False)):
        scores = score(records, {"MMS": answered(records["MMS"])}, mode, resamples=10)
        text = markdown(*tables(scores))
        assert "| MMS |  | macro_f1 | 1.000 | [" in text and "| 9 | 0.0% | 0.333 prior sampling | - |" in text
        assert ("MMAFFLM-7b" in text) is shown
        assert (f"| {paper_scores()['MMS', 'de']['MMAFFLM-7b']:.3f} |" in text) is shown
    assert not math.isnan(scores["subsets"]["MMS"]["metrics"]["macro_f1"])


def test_an_interval_contains_its_score_and_stays_within_the_range():
    names = [label.name for label in benchmark()["MELD_EC"].tasks[0].grammar.labels]
    asked = [record("MELD_EC", at, [names[at % len(names)]]) for at in range(7)]
    found = score({"MELD_EC": asked}, {"MELD_EC": answered(asked)}, "strict", resamples=400)["subsets"]["MELD_EC"]
    for name, value in found["metrics"].items():
        low, high = found["ci95"][name]
        assert 0 <= low <= value <= high <= 1, name
    assert any("fewer than 200 rows" in note for note in found["notes"])


def test_exactly_half_unparsed_still_has_a_figure():
    for mode in ("strict", "paper"):
        rows = [record("CHSIMS_SI", n, round(n / 10 - 1, 1)) for n in range(20)]
        found = score({"CHSIMS_SI": rows}, {"CHSIMS_SI": half_said(rows, 10)}, mode, resamples=5)
        found = found["subsets"]["CHSIMS_SI"]
        assert found["unparsed"] == 10 and "withheld" not in found and figure(found, "pearson").value is not None


def test_a_score_beats_the_strongest_baseline_with_its_whole_interval():
    task = benchmark()["CHSIMS_SP"].tasks[0]
    scored = {
        "n": 9,
        "unparsed": 0,
        "metrics": {task.main_metric: 0.5},
        "majority": {task.main_metric: 0.3},
        "baselines": {"prior": {task.main_metric: 0.4}, "majority": {task.main_metric: 0.3}},
    }
    for ends, beats in (([0.41, 0.6], True), ([0.39, 0.6], False), ([0.4, 0.6], False)):
        assert beats_baselines(task, scored | {"ci95": {task.main_metric: ends}}) is beats
