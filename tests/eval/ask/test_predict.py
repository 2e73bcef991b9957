import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from eval.ask.ablation import questions
from eval.ask.predict import most_tokens, predict
from eval.engines.hf.fast import FastPath
from eval.run.checkpoint import find_checkpoint
from eval.run.join import run_json
from eval.score.answered import answered_tasks
from eval.score.score import score_run
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Labels
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.storable import storable
from mmafflm.records import read_jsonl
from tests.budget import BUDGET
from tests.eval.score.counting import Counting, content
from tests.eval.tiny_tests import make_tests, records_of

ROWS = {"semeval2018_english": 6, "onlineshopping": 20, "XED": 20}


@pytest.fixture(scope="module")
def nano(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nano with enlarged weights, so that answers differ from row to row and in length."""
    path = Path(shutil.copytree(nano, tmp_path_factory.mktemp("ckpt") / "nano"))
    engine = FastPath(find_checkpoint(str(path)), "auto", Path(), BUDGET)
    with torch.no_grad():
        for name, weight in engine.model.model.language_model.named_parameters():
            if name.endswith("proj.weight"):
                weight.mul_(4)
        end = engine.tokenizer.convert_tokens_to_ids("<|im_end|>")
        engine.model.model.language_model.embed_tokens.weight[end] *= 2.5
    engine.model.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_tests(tmp_path_factory.mktemp("data"), ROWS)


@pytest.fixture(scope="module")
def whole(nano: Path, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "whole"
    predict(nano, data, out, batch_size=8, dtype="float32")
    return out


def test_every_record_is_answered_once_in_record_order(whole: Path, data: Dataset) -> None:
    for name in ROWS:
        rows = list(read_jsonl(whole / "predictions" / f"{name}.jsonl"))
        assert [row["id"] for row in rows] == [record.id for record in data.records(name, "test")]
    assert len({row["prediction"] for row in rows}) > 5, "the test's model should not answer everything alike"
    assert len({len(row["prediction"]) for row in rows}) > 3


@pytest.mark.parametrize("batch_size", [1, 32])
def test_the_batch_size_does_not_change_an_answer(
    batch_size: int, nano: Path, data: Dataset, whole: Path, tmp_path: Path
) -> None:
    predict(nano, data, tmp_path, batch_size=batch_size, dtype="float32")
    assert content(tmp_path) == content(whole)


def test_answers_are_those_of_generate(nano: Path, data: Dataset, whole: Path) -> None:
    engine = FastPath(find_checkpoint(str(nano)), "float32", Path(), BUDGET)
    reference = AutoModelForImageTextToText.from_pretrained(nano)
    task = benchmark()["onlineshopping"].tasks[0]
    for record, row in zip(
        data.records("onlineshopping", "test"), read_jsonl(whole / "predictions/onlineshopping.jsonl"), strict=True
    ):
        ids = torch.tensor([*map(list, engine.encode(questions([record])))])
        made = reference.generate(ids, max_new_tokens=most_tokens(task, engine), do_sample=False)
        text = engine.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)
        assert storable(text) == row["prediction"]


def test_likelihoods_are_those_of_a_plain_forward(nano: Path, data: Dataset) -> None:
    engine = FastPath(find_checkpoint(str(nano)), "float32", Path(), BUDGET)
    reference = AutoModelForImageTextToText.from_pretrained(nano)
    asked = questions(list(data.records("XED", "test")))
    candidates = ["1. joy", "1. joy, 2. sadness", "2. sadness", "8. trust", "-0.5"]
    end = engine.tokenizer.convert_tokens_to_ids("<|im_end|>")
    found = [
        dict(row for batch in engine.likelihoods(asked, wanted, candidates, size) for row in batch)
        for wanted, size in ((range(20), 8), (range(20), 1), ([11, 4], 2))
    ]
    assert [sorted(one) for one in found] == [list(range(20)), list(range(20)), [4, 11]]
    for row, question in enumerate(asked):
        ids = list(engine.encode([question])[0])
        for at, text in enumerate(candidates):
            answer = [*engine.tokenizer(text, add_special_tokens=False)["input_ids"], end]
            with torch.inference_mode():
                logits = reference(torch.tensor([ids + answer])).logits[0, len(ids) - 1 : -1].double()
            expected = float(logits.log_softmax(-1)[range(len(answer)), answer].sum())
            assert all(one[row][at] == pytest.approx(expected, abs=1e-3) for one in found if row in one), text
    assert len({round(one[0], 2) for one in found[0].values()}) > 10, "the test's model should look at the prompt"


def test_a_killed_run_goes_on_to_the_same_bytes(nano: Path, data: Dataset, whole: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from eval.ask.predict import predict; from mmafflm.dataset import Dataset\n"
        "ckpt, data, out = sys.argv[1:]\n"
        "predict(ckpt, Dataset.open(Path(data)), Path(out), batch_size=1, dtype='float32')"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(nano), str(data.path), str(tmp_path)])
    path = tmp_path / "predictions" / "onlineshopping.jsonl"
    deadline = time.monotonic() + 120
    while (not path.exists() or path.read_bytes().count(b"\n") < 3) and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert content(tmp_path) != content(whole)
    with path.open("ab") as out:
        out.write(b'{"id": "onlineshopping/polarity/te')  # a line cut off by a kill
    predict(nano, data, tmp_path, batch_size=8, dtype="float32")
    assert content(tmp_path) == content(whole)
    predict(nano, data, tmp_path, batch_size=8, dtype="float32")  # nothing left to ask, so nothing is loaded
    assert content(tmp_path) == content(whole)


def test_a_run_asks_nothing_twice(nano: Path, data: Dataset, tmp_path: Path) -> None:
    first, second, third = Counting(breaks_after=3), Counting(), Counting()
    with pytest.raises(KeyboardInterrupt):
        predict(nano, data, tmp_path, batch_size=8, engine=first)
    predict(nano, data, tmp_path, batch_size=8, engine=second)
    assert first.asked > 0 and first.asked + second.asked == sum(
        len(rows.splitlines()) for rows in content(tmp_path).values()
    )
    before = content(tmp_path)
    predict(nano, data, tmp_path, batch_size=8, engine=third)
    assert not third.loaded and not third.asked and content(tmp_path) == before


def test_the_validation_split_is_asked_scored_and_diagnosed(nano: Path, tmp_path: Path) -> None:
    data = make_tests(tmp_path / "data", {"XED": 40}, split="val")
    with pytest.raises(UsageFault, match="no test split of XED"):
        predict(nano, data, tmp_path / "run", ["XED"], engine=Counting())
    predict(nano, data, tmp_path / "run", limit=12, engine=Counting(), split="val")
    ids = [row["id"] for row in read_jsonl(tmp_path / "run/predictions/XED.jsonl")]
    assert len(ids) == 12 and all("/val/" in one for one in ids)
    scores = score_run(tmp_path / "run", data, "strict")
    assert scores["split"] == "val" and scores["subsets"]["XED"]["n"] == 12
    assert [one.texts for one in answered_tasks(tmp_path / "run", run_json(tmp_path / "run"), data)]


def test_run_json_says_what_was_asked_and_grows_by_subsets(nano: Path, data: Dataset, tmp_path: Path) -> None:
    predict(nano, data, tmp_path, subsets=["XED"], limit=5, engine=Counting())
    predict(nano, data, tmp_path, subsets=["onlineshopping"], limit=5, engine=Counting())
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["subsets"] == {"XED": {"expected": 5}, "onlineshopping": {"expected": 5}}
    assert run["checkpoint"] == str(nano) and run["data_hash"] == data.hash and run["limit"] == 5
    assert run["budget"] == {
        "image_max_pixels": 262144, "video_max_pixels": 16384, "video_fps": 2.0, "video_maxlen": 128
    }  # fmt: skip
    for other in (6, 2):  # with 2, some answers are no longer asked: they must not be called foreign
        with pytest.raises(Fault, match=f"this run has limit 5, not {other}"):
            predict(nano, data, tmp_path, subsets=["XED"], limit=other, engine=Counting())


def test_some_languages_are_asked_and_scored_alone(nano: Path, data: Dataset, tmp_path: Path) -> None:
    spoken = sorted({record.language for record in data.records("XED", "test")})
    assert len(spoken) > 1
    predict(nano, data, tmp_path / "run", languages=spoken[:1], engine=Counting())
    assert list(run_json(tmp_path / "run")["subsets"]) == ["XED"]  # the others have no such rows
    scores = score_run(tmp_path / "run", data, "strict")
    assert scores["languages"] == spoken[:1] and list(scores["subsets"]) == ["XED"]
    assert [one.texts for one in answered_tasks(tmp_path / "run", run_json(tmp_path / "run"), data)]
    with pytest.raises(Fault, match="this run has languages"):
        predict(nano, data, tmp_path / "run", languages=spoken[:2], engine=Counting())
    with pytest.raises(UsageFault, match=r"--languages xx: .* has no test rows in these languages"):
        predict(nano, data, tmp_path / "other", languages=["xx"], engine=Counting())
    assert not (tmp_path / "other").exists()


def test_another_checkpoint_is_refused(nano: Path, data: Dataset, tmp_path: Path) -> None:
    predict(nano, data, tmp_path / "run", limit=2, engine=Counting())
    other = shutil.copytree(nano, tmp_path / "other")
    with pytest.raises(Fault, match=r"this run has checkpoint .*nano, not .*other"):
        predict(other, data, tmp_path / "run", limit=2, engine=Counting())


def test_a_foreign_id_is_refused(nano: Path, data: Dataset, tmp_path: Path) -> None:
    predict(nano, data, tmp_path, subsets=["XED"], limit=2, engine=Counting())
    with (tmp_path / "predictions/XED.jsonl").open("a") as out:
        out.write('{"id": "MELD_EC/1", "prediction": "joy"}\n')
    with pytest.raises(Fault, match=r"XED\.jsonl:3: 'MELD_EC/1' is not a new answer of this run"):
        predict(nano, data, tmp_path, subsets=["XED"], limit=2, engine=Counting())


def test_changed_data_is_refused(nano: Path, tmp_path: Path) -> None:
    data = make_tests(tmp_path / "data", {"onlineshopping": 3})
    with (data.path / "mmaffben/onlineshopping_test.jsonl").open("a") as out:
        out.write("\n")
    with pytest.raises(Fault, match="changed after the build"):
        predict(nano, data, tmp_path / "run", engine=Counting())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("gone", ["model.safetensors", "config.json"])
def test_a_folder_that_is_no_checkpoint(gone: str, nano: Path, data: Dataset, tmp_path: Path) -> None:
    ckpt = shutil.copytree(nano, tmp_path / "ckpt")
    (ckpt / gone).unlink()
    with pytest.raises(Fault, match="safetensors" if gone.startswith("model") else "config"):
        predict(ckpt, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_torn_weights_are_a_sentence(nano: Path, data: Dataset, tmp_path: Path) -> None:
    ckpt = shutil.copytree(nano, tmp_path / "ckpt")
    (ckpt / "model.safetensors").write_bytes((nano / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(Fault, match="cut short in its header"):
        predict(ckpt, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_media_budget_is_refused_unless_told(nano: Path, data: Dataset, tmp_path: Path) -> None:
    ckpt = shutil.copytree(nano, tmp_path / "trained" / "checkpoint-9")
    (tmp_path / "trained" / "run.json").write_text('{"budget": {"image_max_pixels": 589824}}')
    with pytest.raises(
        Fault, match=r"trained with image_max_pixels 589824, and the data were built with 262144.*--force"
    ):
        predict(ckpt, data, tmp_path / "run", engine=Counting())
    predict(ckpt, data, tmp_path / "run", limit=1, force=True, engine=Counting())
    assert json.loads((tmp_path / "run/run.json").read_text())["budget"] == BUDGET.to_json()


def test_a_checkpoint_of_fewer_pixels_is_asked_with_them(nano: Path, data: Dataset, tmp_path: Path) -> None:
    ckpt = shutil.copytree(nano, tmp_path / "trained" / "checkpoint-9")
    few = BUDGET.to_json() | {"image_max_pixels": 4096}
    (tmp_path / "trained" / "run.json").write_text(json.dumps({"budget": few}))
    predict(ckpt, data, tmp_path / "run", limit=1)
    assert json.loads((tmp_path / "run/run.json").read_text())["budget"] == few


def test_a_subset_that_was_not_built(nano: Path, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no test split of MMS"):
        predict(nano, data, tmp_path, subsets=["MMS"], engine=Counting())


@pytest.mark.parametrize("subset", list(benchmark()))
def test_no_gold_answer_is_longer_than_the_cap(subset: str) -> None:
    engine = Counting()
    for task in benchmark()[subset].tasks:
        if isinstance(task.grammar, Labels):
            most = task.answer(list(task.grammar.names)[: task.grammar.most])
            assert engine.tokens(most) <= most_tokens(task, engine)
        elif subset != "EMOTIC_SI":
            assert all(engine.tokens(record.answer) <= most_tokens(task, engine) for record in records_of(task, 9))
