"""`mmafflm export`: the merged model answers like base and adapter, and has its run.json."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmafflm.errors import Fault, UsageFault
from mmafflm.records import write_text
from mmafflm.run_file import write_run
from mmafflm.train.export import export
from mmafflm.train.run import train
from tests.budget import BUDGET
from tests.forks import Forks
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import make_data, text_records


def logits(model: Any) -> Any:
    """A model's logits after a picture of 8 x 8 patches and some words."""
    import torch

    config = model.config
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(20, 4000, (1, 48), generator=generator)
    ids[0, 0], ids[0, 1:17] = config.vision_start_token_id, config.image_token_id
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    given |= {"pixel_values": torch.randn(64, 1176, generator=generator), "image_grid_thw": torch.tensor([[1, 8, 8]])}
    with torch.inference_mode():
        return model.eval()(**given, mm_token_type_ids=(ids == config.image_token_id).int()).logits


def launch_forked(forks: Forks, config: dict[str, Any], out: Path, log: Path) -> None:
    """Export as `llamafactory-cli export` does, in a fork."""
    path = out / "llamafactory_export.yaml"
    write_text(path, yaml.safe_dump(config, sort_keys=True))
    code = "from llamafactory.train.tuner import export_model\nexport_model()"
    assert forks.run(code, [str(path)], {}, log) == 0, log.read_text()[-3000:]
    log.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mmafflm-7b-lora.yaml", "mmafflm-7b-lora-vision.yaml"])
def test_lora_merged_is_lora_applied(
    name: str, tmp_path: Path, base: str, forks: Forks, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the shipped recipe with ZeRO-2 and checkpointing; only what a CPU and a tiny model need is changed
    changes = {"hardware": "cpu", "bf16": False, "global_batch": 16, "per_device_train_batch_size": 4, "lora_rank": 8}
    recipe = recipe_with(tmp_path, name, **changes, learning_rate=0.01, report_to="none")
    data = make_data(tmp_path / "data", text_records(64))
    run, out = tmp_path / "run", tmp_path / "merged"
    monkeypatch.setattr("mmafflm.train.run.run", forks.train)
    train(recipe, data, run, gpus=1, base=base)
    if "vision" in name:  # the other starts llamafactory-cli
        monkeypatch.setattr("mmafflm.train.export._launch", lambda *given: launch_forked(forks, *given))
    export(run, out)

    from peft import PeftModel
    from safetensors import safe_open
    from transformers import AutoModelForImageTextToText

    with safe_open(run / "adapter_model.safetensors", "pt") as adapter:
        names = list(adapter.keys())
    blocks = [one for one in names if "visual.blocks" in one]
    assert bool(blocks) == ("vision" in name)
    assert sum("layers.0" in one for one in names) == 2 * 7
    assert not [one for one in names if "merger" in one or "patch_embed" in one or "lm_head" in one]

    plain = logits(AutoModelForImageTextToText.from_pretrained(base))
    under = AutoModelForImageTextToText.from_pretrained(base)
    applied = logits(PeftModel.from_pretrained(under, run))
    merged = logits(AutoModelForImageTextToText.from_pretrained(out))
    assert (applied - plain).abs().max() > 0.1  # it learned something
    assert (merged - applied).abs().max() < 1e-4  # fp32; sums in another order
    assert_complete(out, run)


def assert_complete(out: Path, run: Path) -> None:
    """Check that the exported folder has a whole model and records how it was trained."""
    told = json.loads((out / "run.json").read_text())
    assert told["budget"] == BUDGET.to_json() and told["finished"] and told["exported_from"] == str(run.resolve())
    assert not (out / "adapter_model.safetensors").exists()
    for part in ("config.json", "tokenizer.json", "model.safetensors", "llamafactory_export.yaml"):
        assert (out / part).exists(), part
    assert (out / "preprocessor_config.json").exists() or (out / "processor_config.json").exists()
    assert yaml.safe_load((out / "llamafactory_export.yaml").read_text())["export_dir"] == str(out.resolve())
    before = (out / "model.safetensors").stat().st_mtime_ns
    export(run, out)  # a second time does nothing
    assert (out / "model.safetensors").stat().st_mtime_ns == before


@pytest.fixture
def trained(base: str, tmp_path: Path) -> Path:
    """A finished LoRA run with a random adapter."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(3)
    under: Any = AutoModelForImageTextToText.from_pretrained(base)
    put_on: Any = get_peft_model(under, LoraConfig(r=2, target_modules=r".*language_model.*\.(q_proj|up_proj)"))
    with torch.no_grad():
        for name, weight in put_on.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.5)
    put_on.save_pretrained(tmp_path / "run")
    config = {"model_name_or_path": base, "template": "qwen2_vl", "finetuning_type": "lora"}
    (tmp_path / "run/llamafactory.yaml").write_text(yaml.safe_dump(config | BUDGET.to_json()))
    write_run(tmp_path / "run", {"schema": 1, "finished": True, "base": base})
    return tmp_path / "run"


def merged_at(scale: float, base: str, run: Path, out: Path) -> None:
    """Write into `out` what a merge with `scale` times the adapter would write."""
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    shutil.copytree(base, out, dirs_exist_ok=True)
    put_on: Any = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), str(run))
    for module in put_on.modules():
        if isinstance(getattr(module, "scaling", None), dict):
            module.scaling = {name: scale * one for name, one in module.scaling.items()}
    put_on.merge_and_unload().save_pretrained(out)


@pytest.mark.parametrize(
    ("scale", "said"),
    [(1, None), (0, "logits differ .* from those of base plus adapter"), (1.05, "logits differ .* from those of")],
)
def test_a_merge_that_went_wrong_is_refused(
    scale: float, said: str | None, base: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "merged"
    monkeypatch.setattr(
        "mmafflm.train.export._launch", lambda config, partial, log: merged_at(scale, base, trained, partial)
    )
    if said is None:
        export(trained, out)
        assert (out / "run.json").exists()
    else:
        with pytest.raises(Fault, match=said):
            export(trained, out)
        assert not out.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"run", "merged"}  # nothing half-made


def test_an_adapter_that_changes_nothing_is_not_merged(
    base: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    weights = trained / "adapter_model.safetensors"
    save_file({name: one * (0 if "lora_B" in name else 1) for name, one in load_file(weights).items()}, weights)
    monkeypatch.setattr("mmafflm.train.export._launch", lambda config, partial, log: shutil.copytree(
        base, partial, dirs_exist_ok=True))  # fmt: skip
    with pytest.raises(Fault, match=r"changes nothing in its base"):
        export(trained, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_failed_merge_leaves_its_log_and_nothing_else(trained: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((trained / "llamafactory.yaml").read_text())
    (trained / "llamafactory.yaml").write_text(yaml.safe_dump(config | {"template": "no_such_template"}))
    with pytest.raises(Fault, match=r"llamafactory-cli export failed .*merged\.export\.log"):
        export(trained, tmp_path / "merged")
    assert {path.name for path in tmp_path.iterdir()} == {"run", "merged.export.log"}


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    with pytest.raises(UsageFault, match=r"no run\.json, so this is not a training run"):
        export(run, out)
    run.mkdir()
    write_run(run, {"schema": 1, "finished": False})
    with pytest.raises(Fault, match=r"not finished.*--resume"):
        export(run, out)
    write_run(run, {"schema": 1, "finished": True})
    with pytest.raises(Fault, match=r"no llamafactory\.yaml"):
        export(run, out)
    config = {"model_name_or_path": str(tmp_path / "gone"), "template": "qwen2_vl", "finetuning_type": "lora"}
    (run / "llamafactory.yaml").write_text(yaml.safe_dump(config | BUDGET.to_json()))
    with pytest.raises(Fault, match=r"no adapter_config\.json"):
        export(run, out)
    (run / "adapter_config.json").write_text("{}")
    with pytest.raises(Fault, match="gone is missing"):
        export(run, out)
    (tmp_path / "gone").mkdir()
    out.mkdir()
    (out / "diary.txt").write_text("mine")
    with pytest.raises(UsageFault, match="holds something else"):
        export(run, out)
