"""What CKPT may name: each kind of folder is found, an adapter answers as its merged export, the rest is refused."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

from eval.ask.predict import predict
from eval.engines import Question, make_engine
from eval.engines.hf.engine import HfEngine
from eval.run.checkpoint import Checkpoint, find_checkpoint, positions_note
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import write_jsonl
from mmafflm.run_file import write_run
from mmafflm.train.export import export
from tests.budget import BUDGET
from tests.command import mmaffben
from tests.eval.tiny_tests import make_tests
from tests.forks import Forks
from tests.mmafflm.train.test_export import launch_forked

FIRST, SECOND = "1a" * 20, "2b" * 20  # commits
ASKED = [Question(f"Which emotion is it? {'So ' * n}what, and why") for n in range(6)]


@pytest.fixture(scope="module")
def run(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished LoRA run on nano as training leaves it, with a random adapter."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    folder = tmp_path_factory.mktemp("runs") / "lora"
    torch.manual_seed(3)
    model = AutoModelForImageTextToText.from_pretrained(nano)
    modules = r".*language_model.*\.(q_proj|v_proj|o_proj|up_proj|down_proj)"
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=modules))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.5)
    adapted.save_pretrained(folder)
    config = {"model_name_or_path": str(nano), "template": "qwen2_vl", "finetuning_type": "lora"}
    (folder / "llamafactory.yaml").write_text(yaml.safe_dump(config | BUDGET.to_json()))
    write_run(folder, {"schema": 1, "finished": True, "base": str(nano), "budget": BUDGET.to_json()})
    return folder


def answers(ckpt: Path) -> dict[int, str]:
    engine = HfEngine(str(ckpt), BUDGET, "float32")
    engine.load()
    return dict(one for batch in engine.answer(ASKED, range(len(ASKED)), 12, 4) for one in batch)


def test_an_adapter_answers_as_its_merged_export_does(
    nano: Path, run: Path, forks: Forks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mmafflm.train.export._launch", partial(launch_forked, forks))
    export(run, tmp_path / "merged")
    adapted = answers(run)
    assert adapted == answers(tmp_path / "merged")
    assert adapted != answers(nano) and len(set(adapted.values())) > 1
    assert find_checkpoint(str(tmp_path / "merged")) == Checkpoint(str(tmp_path / "merged"))


def test_an_adapter_is_found_with_its_base(nano: Path, run: Path, tmp_path: Path) -> None:
    assert find_checkpoint(str(run)) == Checkpoint(str(nano), str(run))
    moved = shutil.copytree(run, tmp_path / "run" / "checkpoint-7")
    (moved / "run.json").rename(moved.parent / "run.json")  # a checkpoint uses the run.json of its run
    config = json.loads((moved / "adapter_config.json").read_text())
    (moved / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "/gone/nano"}))
    assert find_checkpoint(str(moved)) == Checkpoint(str(nano), str(moved))
    (moved.parent / "run.json").unlink()
    with pytest.raises(Fault, match=r"its base /gone/nano does not exist\. Restore the base"):
        find_checkpoint(str(moved))
    (moved / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "Qwen/Qwen2.5-VL-3B"}))
    assert find_checkpoint(str(moved)) == Checkpoint("Qwen/Qwen2.5-VL-3B", str(moved))
    (moved / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(run)}))
    with pytest.raises(Fault, match="is an adapter itself"):
        find_checkpoint(str(moved))
    (moved / "adapter_config.json").write_text("{")
    with pytest.raises(Fault, match=r"adapter_config\.json: not JSON"):
        find_checkpoint(str(moved))
    (moved / "adapter_model.safetensors").unlink()
    with pytest.raises(Fault, match=r"no adapter_model\.safetensors"):
        find_checkpoint(str(moved))


def test_what_run_json_keeps_of_an_adapter(nano: Path, run: Path, tmp_path: Path) -> None:
    row = find_checkpoint(str(run)).identity()
    assert row["checkpoint"] == str(run) and row["base"] == str(nano)
    assert row["weights"] not in (None, find_checkpoint(str(nano)).identity()["weights"])
    retrained = shutil.copytree(run, tmp_path / "run")
    weights = retrained / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert find_checkpoint(str(retrained)).identity()["weights"] != row["weights"]


def test_a_hub_id_is_the_hubs_to_judge(tmp_path: Path) -> None:
    found = find_checkpoint("Qwen/Qwen2.5-VL-3B-Instruct")
    assert found == Checkpoint("Qwen/Qwen2.5-VL-3B-Instruct")
    assert found.identity() == {"checkpoint": "Qwen/Qwen2.5-VL-3B-Instruct", "weights": None}
    for name in ("/gone/nano", "./nano", "nano", "a/b/c"):
        with pytest.raises(Fault, match="no such checkpoint folder, and not a hub id"):
            find_checkpoint(name)


@pytest.fixture
def on_hub(nano: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """someone/nano in a hub cache, without a network: two commits, the branch main at the first."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "hub" / "models--someone--nano"
    for commit in (FIRST, SECOND):
        shutil.copytree(nano, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text(FIRST)
    return folder


def test_a_run_goes_on_with_the_commit_it_began_with(on_hub: Path, tmp_path: Path) -> None:
    data, run = make_tests(tmp_path / "data", {"onlineshopping": 2}), tmp_path / "run"
    predict("someone/nano", data, run)
    row = json.loads((run / "run.json").read_text())
    assert (row["checkpoint"], row["weights"], row["commit"]) == ("someone/nano", None, FIRST)

    (on_hub / "refs/main").rename(on_hub / "main")
    predict("someone/nano", data, run)  # nothing to ask, so the emptied cache does not matter
    assert json.loads((run / "run.json").read_text()) == row

    (on_hub / "refs/main").write_text(SECOND)
    answers = run / "predictions/onlineshopping.jsonl"
    answers.write_text(answers.read_text().splitlines(keepends=True)[0])
    with pytest.raises(Fault, match=f"this run has commit {FIRST}, not {SECOND}"):
        predict("someone/nano", data, run)
    (on_hub / "main").rename(on_hub / "refs/main")
    predict("someone/nano", data, run)
    assert len(answers.read_text().splitlines()) == 2


def test_the_commit_of_an_adapters_base(on_hub: Path, run: Path, tmp_path: Path) -> None:
    adapter = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("run.json"))
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "someone/nano"}))
    row = find_checkpoint(str(adapter)).identity()
    assert (row["checkpoint"], row["base"], row["commit"]) == (str(adapter), "someone/nano", FIRST)
    assert "commit" not in find_checkpoint(str(run)).identity()  # a folder's weights are hashed


def test_an_unfinished_run_names_its_newest_checkpoint(nano: Path, tmp_path: Path) -> None:
    for number in (9, 100):
        checkpoint = shutil.copytree(nano, tmp_path / f"checkpoint-{number}")
        (checkpoint / "trainer_state.json").write_text("{}")
    (tmp_path / "checkpoint-200").mkdir()  # half-written
    with pytest.raises(Fault, match=r"no config\.json.*newest checkpoint is .*checkpoint-100\."):
        find_checkpoint(str(tmp_path))
    assert find_checkpoint(str(tmp_path / "checkpoint-100")).adapter is None


def test_positions_that_nobody_knows_are_said(tmp_path: Path) -> None:
    run = {"schema": 1, "finished": True, "mix_rows": 64}
    for said, more in (
        (False, {"mix_videos": 0}),
        (True, {"mix_videos": 3}),
        (False, {"mix_videos": 3, "clip_positions": "original"}),
        (False, {}),  # an older version's run, of which we know nothing
    ):
        write_run(tmp_path / "run", run | more)
        for ckpt in (tmp_path / "run", tmp_path / "run/checkpoint-9"):
            note = positions_note(str(ckpt))
            assert bool(note) == said and (
                note is None or f"{tmp_path / 'run/run.json'}: has no clip_positions" in note
            )
    seen = [
        {"step": step, "seen": {"modality": {"text": 1 - share, "video": share}}} for step, share in ((1, 0), (2, 0.1))
    ]
    write_jsonl(tmp_path / "run/progress.jsonl", seen[:1])
    assert positions_note(str(tmp_path / "run")) is None
    write_jsonl(tmp_path / "run/progress.jsonl", seen)
    assert positions_note(str(tmp_path / "run"))
    write_run(tmp_path / "run", {"schema": 1, "checkpoint": "x"})  # predict's own
    assert positions_note(str(tmp_path / "run")) is None and positions_note("someone/nano") is None

    write_run(tmp_path / "run", run | {"mix_videos": 3})
    data = make_tests(tmp_path / "data", {"onlineshopping": 2})
    asked = ("predict", "--ckpt", tmp_path / "run", "--data", data.path, "--out", tmp_path / "out")
    done = mmaffben(*asked, "--jobs", "2", "--subsets", "MMS")
    assert done.returncode == 1 and done.stderr.startswith(f"{tmp_path / 'run/run.json'}: has no clip_positions")


def test_an_engine_is_made_by_name(nano: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_engine("hf", str(nano), "auto", Path(), BUDGET, {}).name == "hf"
    with pytest.raises(UsageFault, match="--engine gpt: not one of hf, vllm, openai"):
        make_engine("gpt", str(nano), "auto", Path(), BUDGET, {})
    with pytest.raises(UsageFault, match=r"--option speed: .* The options of the engine hf are chat_template"):
        make_engine("hf", str(nano), "auto", Path(), BUDGET, {"speed": "9"})


def test_a_missing_package_is_a_sentence(nano: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name}", name="vllm")

    monkeypatch.setattr("eval.engines.import_module", gone)
    with pytest.raises(UsageFault, match=r"--engine vllm needs vllm, which is not installed\. Run: make setup-vllm"):
        make_engine("vllm", str(nano), "auto", Path(), BUDGET, {})
