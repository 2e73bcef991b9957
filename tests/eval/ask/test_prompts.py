"""`predict --ablation prompt` with a real tiny model through the real engine, then diagnose and report."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from eval.ask.predict import predict
from eval.ask.prompts import predict_prompts
from eval.ask.variants import PROMPTS, form
from eval.diagnosis.diagnose import diagnose_run
from eval.engines import make_engine
from eval.score.score import score_run
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.records import read_jsonl
from tests.command import mmaffben
from tests.data_files import write_data
from tests.eval.report.report_runs import made_data
from tests.eval.score.counting import Counting
from tests.media_files import picture_of

NAMES = ("XED", "FER2013", "MELD_EC", "CFAPS_EI")
HAVE = {"order": NAMES[:3], "after": ("XED", "MELD_EC"), "wording": NAMES}


class Numbered(Counting):
    """Knows what a prompt says is happiness or joy, by its number, and answers nothing else."""

    def answer(self, questions, wanted, most_tokens, batch_size):  # type: ignore[no-untyped-def]
        for at in wanted:
            name = "joy" if ". joy" in questions[at].prompt else "happiness"
            number = questions[at].prompt.split(f". {name}")[0].rsplit(" ", 1)[-1]
            yield [(at, f"{number}. {name}")]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    made = made_data(tmp_path_factory.mktemp("data"), lambda task: 8, NAMES)
    for at in range(12):  # made_data() has JPEG, for the page only; the engines read what a build stores
        picture_of(60, 48, at).save(made.path / f"media/{at}.jpg", "PNG")
    return write_data(made.path, {name: list(made.records(name, "test")) for name in NAMES})


def content(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.glob("predictions/*.jsonl"))}


def test_predict_diagnose_and_report_as_a_user_types_them(
    looking: Path, data: Dataset, tmp_path: Path, warm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(warm / "python"))
    run = tmp_path / "run"
    predict(looking, data, run)
    done = mmaffben("predict", "--ckpt", looking, "--data", data.path, "--out", run, "--ablation", "prompt")
    assert done.returncode == 0, done.stderr
    forms = [tmp_path / f"run-{name}" for name in PROMPTS]
    for name, folder in zip(PROMPTS, forms, strict=True):
        described = json.loads((folder / "run.json").read_text())
        assert described["ablation"] == name and tuple(described["subsets"]) == HAVE[name]
        assert all(content(folder)[f"{one}.jsonl"] != content(run)[f"{one}.jsonl"] for one in ("XED", "MELD_EC"))
    whole = {folder.name: content(folder) for folder in forms}
    cut = forms[0] / "predictions" / "MELD_EC.jsonl"
    cut.write_bytes(cut.read_bytes()[:250])  # as a kill leaves it
    predict_prompts(looking, data, run)
    assert {folder.name: content(folder) for folder in forms} == whole
    score_run(run, data, "strict")
    found = mmaffben("diagnose", run, "--data", data.path, *(word for one in forms for word in ("--ablated", one)))
    assert found.returncode == 0, found.stderr
    assert "prompt dependence" in found.stdout and "--ablation prompt" not in found.stdout
    diagnosis = json.loads((run / "diagnosis.json").read_text())
    details = {one["subset"]: one for one in diagnosis["details"]["prompt_dependence"]}
    assert {name: set(one["changed"]) for name, one in details.items()} == {
        name: {form for form, names in HAVE.items() if name in names} for name in NAMES
    }
    shown = mmaffben("report", run, "--data", data.path, "--out", tmp_path / "report.html")
    assert shown.returncode == 0, shown.stderr
    page = (tmp_path / "report.html").read_text()
    assert "Each task, with the benchmark&#39;s prompt and with other forms of it" in page


def test_likelihoods_of_another_numbering_are_those_of_its_own_candidates(
    looking: Path, data: Dataset, tmp_path: Path
) -> None:
    engine = make_engine("hf", str(looking), "float32", data.path, data.budget, {})
    names = ["FER2013", "MELD_EC"]
    predict_prompts(str(looking), data, tmp_path / "run", names, engine=engine, readout="choice")
    kept = json.loads((tmp_path / "run-order/readout.json").read_text())["candidates"]
    for name in names:
        (task,) = benchmark()[name].tasks
        asked = form(task, "order")
        assert kept[name][task.key] == [asked.task.answer([one]) for one in asked.task.grammar.names]  # type: ignore[union-attr]
        rows = {row["id"]: row["logp"] for row in read_jsonl(tmp_path / f"run-order/likelihoods/{name}.jsonl")}
        for row in read_jsonl(tmp_path / f"run-order/predictions/{name}.jsonl"):
            best = max(range(7), key=lambda at: rows[row["id"]][at])
            assert row["prediction"] == task.answer([task.grammar.names[best]])  # type: ignore[union-attr]
    assert not (tmp_path / "run-order/predictions/CFAPS_EI.jsonl").exists()


def test_answers_with_other_numbers_score_like_the_same_labels(data: Dataset, tmp_path: Path) -> None:
    predict("ckpt", data, tmp_path / "run", list(NAMES[:3]), engine=Numbered())
    predict_prompts("ckpt", data, tmp_path / "run", list(NAMES[:3]), engine=Numbered())
    runs = [tmp_path / f"run-{name}" for name in PROMPTS]
    scores = [score_run(one, data, "strict")["subsets"] for one in (tmp_path / "run", runs[0], runs[2])]
    assert scores[0] == scores[1] == scores[2]
    found = diagnose_run(tmp_path / "run", data, runs)
    assert {one["spread"] for one in found["details"]["prompt_dependence"]} == {0.0}
    assert all(of["value"] == 0 for one in found["details"]["prompt_dependence"] for of in one["changed"].values())
    assert {one["verdict"] for one in found["findings"] if one["kind"] == "prompt_dependence"} == {"unsure"}  # few rows


def test_a_run_is_not_resumed_with_other_prompts(data: Dataset, tmp_path: Path) -> None:
    predict_prompts("ckpt", data, tmp_path / "run", ["XED"], engine=Numbered())
    path = tmp_path / "run-order" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prompts": "0" * 64}))
    with pytest.raises(Fault, match="this run has prompts 000"):
        predict_prompts("ckpt", data, tmp_path / "run", ["XED"], engine=Numbered())
    shutil.rmtree(tmp_path / "run-order")
    predict_prompts("ckpt", data, tmp_path / "run", ["XED"], engine=Numbered())


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: make setup")
def test_two_workers_answer_like_one_process(looking: Path, data: Dataset, tmp_path: Path) -> None:
    asked = ("predict", "--ckpt", looking, "--data", data.path, "--ablation", "prompt", "--subsets", "XED,FER2013")
    predict_prompts(str(looking), data, tmp_path / "one", ["XED", "FER2013"])
    done = mmaffben(*asked, "--out", tmp_path / "two", "--jobs", 2)
    assert done.returncode == 0, done.stderr
    for name in PROMPTS:
        one, two = (content(tmp_path / f"{out}-{name}") for out in ("one", "two"))
        assert one and one == two
