"""results.json, averages, diagnosis and model card of the report."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from eval.diagnosis.diagnose import diagnose
from eval.diagnosis.finding import CHECKS, KINDS
from eval.report.diagnosis_figures import drawings
from eval.report.diagnosis_view import view
from eval.report.glance import glance
from eval.report.load import load_runs
from eval.report.report import report
from eval.report.results_schema import Results
from eval.run.join import run_json
from eval.score.answered import answered_tasks
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from tests.eval.report.page import Page
from tests.eval.report.reported import Made


def test_results_have_the_form_that_their_schema_says(made: Made) -> None:
    found = Results.model_validate(made.results)
    assert list(found.runs) == ["good_run", "poor"] and found.schema_file == "report.results.schema.json"
    schema = json.loads((made.root / found.schema_file).read_text())
    assert schema["properties"]["schema"]["const"] == 1 and set(made.results) == set(schema["required"])
    for wrong in ({"schema": 2}, {"runs": {"a": {}}}, {"surplus": 1}):
        with pytest.raises(ValidationError):
            Results.model_validate(made.results | wrong)


def test_averages_are_of_one_metric_and_say_what_is_in_them(made: Made) -> None:
    rows = {(one["over"], one["group"], one["metric"]): one for one in made.results["averages"]["strict"]}
    pictures = rows["modality", "image", "macro_f1"]
    assert pictures["of"] == ["EMOTIC_EC", "FER2013", "CFAPS_EC"] and pictures["missing"] == []
    for at, cell in enumerate(pictures["cells"]):
        scores = made.scores(at)["subsets"]
        assert cell["value"] == pytest.approx(sum(scores[name]["metrics"]["macro_f1"] for name in pictures["of"]) / 3)
        assert cell["ci95"][0] < cell["value"] < cell["ci95"][1]
    german = rows["language", "de", "macro_f1"]
    assert german["of"] == ["MMS de", "XED de", "SAMSEMO de"]
    samsemo = rows["languages", "SAMSEMO", "macro_f1"]
    parts = made.scores(0)["subsets"]["SAMSEMO"]["by_language"]
    assert samsemo["cells"][0]["value"] == pytest.approx(
        sum(one["metrics"]["macro_f1"] for one in parts.values()) / len(parts)
    )
    assert "no macro average over languages" in rows["languages", "XED", "macro_f1"]["refused"]
    assert rows["languages", "XED", "macro_f1"]["cells"] == [None, None]
    assert f"{pictures['cells'][0]['value']:.3f}" in made.page.said and "Averages of each language" in made.page.said


def test_the_first_sentences_say_what_the_numbers_say(made: Made) -> None:
    for run in load_runs(made.runs, made.data):
        subsets = run.scores["strict"]["subsets"].values()
        rows, unparsed = (sum(one[what] for one in subsets) for what in ("n", "unparsed"))
        against, first, found = glance(run)
        asked = f"{len(benchmark())} of {len(benchmark())} subsets, {rows} rows"
        assert first.startswith(f"{asked}; {1 - unparsed / rows:.1%} of the answers could be parsed")
        assert f"the other {unparsed / rows:.1%} count as wrong" in first
        tasks = [task for one in subsets for task in one.get("tasks", {"": one}).values()]
        metrics = [(task, "macro_f1" if "macro_f1" in task["metrics"] else "pearson") for task in tasks]
        above = sum(
            task["ci95"][name][0] > max(one[name] for one in task["baselines"].values()) for task, name in metrics
        )
        assert f"in {above} of {len(tasks)} tasks" in against and ("not in" in against) == (above < len(tasks))
        assert all(sentence in made.page.said for sentence in (first, against, found))
        drifts = run.name == "good_run"  # its diagnosis has one check absent and one found
        assert found.startswith(
            "Failures the paper names, found: intensity drift (1 of 2 checks)" if drifts else "Not diag"
        )


def test_a_run_that_lacks_a_task_has_no_average_over_it(made: Made, copy: Path, tmp_path: Path) -> None:
    scores = json.loads((copy / "scores.strict.json").read_text())
    del scores["subsets"]["FER2013"]
    (copy / "scores.strict.json").write_text(json.dumps(scores))
    report([made.runs[0], copy], made.data, tmp_path / "r.html")
    rows = json.loads((tmp_path / "r.results.json").read_text())["averages"]["strict"]
    (pictures,) = [one for one in rows if (one["group"], one["metric"]) == ("image", "macro_f1")]
    assert pictures["cells"][0] is not None and pictures["cells"][1] is None


def test_a_diagnosis_is_drawn_explained_and_shown_with_its_unparsed_answers(
    made: Made, copy: Path, tmp_path: Path
) -> None:
    found = diagnose(answered_tasks(copy, run_json(copy), made.data), resamples=30)
    (copy / "diagnosis.json").write_text(json.dumps(found | {"not_measured": []}))
    kinds = {kind.name: kind for kind in view(found)}
    assert list(kinds) == [kind.replace("_", " ") for kind in KINDS]
    scales = len(found["details"]["intensity_drift"])
    assert len(kinds["intensity drift"].drawings) == scales >= 17
    assert len(kinds["language collapse"].drawings) == len(found["details"]["language_collapse"])
    assert len(kinds["label prior"].drawings) == len(kinds["format"].drawings) == 1
    report([copy], made.data, tmp_path / "r.html")
    page = Page((tmp_path / "r.html").read_text())
    assert all(check.why in page.said for check in CHECKS.values())
    for one in found["details"]["format"]:
        assert f"Unparsed: {one['subset']} {one['task']}: {one['unparsed']} of {one['n']} answers" in page.said
        assert all(row["id"] in page.said for kind in one["kinds"].values() for row in kind["examples"])
    next(one for one in found["findings"] if one["check"] == "unparsed")["n"] += 1
    (copy / "diagnosis.json").write_text(json.dumps(found))
    with pytest.raises(Fault, match=r"not come from these answers \(semeval2018_english ei_reg\).*mmaffben diagnose"):
        report([copy], made.data, tmp_path / "r.html")
    (copy / "diagnosis.json").write_text("[]")
    with pytest.raises(Fault, match=r"diagnosis\.json: expected a JSON object, found list"):
        report([copy], made.data, tmp_path / "r.html")


def test_the_language_of_prose_stands_beside_a_language_that_talks_in_another() -> None:
    row = {"n": 50, "unparsed": 1, "score": 0.5, "ci95": [0.4, 0.6], "gap": 0.1, "gap_ci95": [0.0, 0.2]}
    spoken = {"en": row | {"prose": {"en": 50}}, "de": row | {"prose": {"none": 40, "en": 5, "de": 5}}}
    group = {"group": "MMS", "task": "sp", "metric": "macro_f1", "languages": spoken, "scripts": {"Latin": row}}
    (drawn,) = drawings("language_collapse", [group], {}, 0)
    assert drawn.svg.count("prose in another language") == 2, "one lane, and what the figure says of itself"
    assert "gap +0.10 [+0.00, +0.20], unparsed 2%, prose in another language 10%" in drawn.svg


def test_the_hub_refuses_a_card_that_is_wrong(made: Made) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub belongs to the train tier")
    text = (made.root / "report.good_run.MODEL_CARD.md").read_text()
    with pytest.raises(ValueError, match="model_index"):
        hub.ModelCard(text.replace("  - task:", "  - tusk:"), ignore_metadata_errors=False)


def test_the_page_is_small(made: Made) -> None:
    # examples are sampled and pictures have a fixed share, so the size hardly depends on the rows (make bench)
    assert made.out.stat().st_size < 4_000_000
