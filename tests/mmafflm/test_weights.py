"""A checkpoint has the model that it claims, and an adapter fits its base; else one message counts the differences."""

import json
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch belongs to the train tier")

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoModelForSeq2SeqLM

from eval.engines.hf.engine import HfEngine
from eval.run.checkpoint import find_checkpoint
from mmafflm.errors import Fault
from mmafflm.weights import adapted, check, check_adapter, kind_of, load
from tests.budget import BUDGET

Tensors = dict[str, torch.Tensor]
FIRST = "model.layers.0.mlp.up_proj.weight"


def changed(folder: Path, change: Callable[[Tensors], Tensors], name: str = "model.safetensors") -> Path:
    save_file(change(load_file(folder / name)), folder / name, metadata={"format": "pt"})
    return folder


@pytest.fixture
def ckpt(nano: Path, tmp_path: Path) -> Path:
    """A copy of nano that the test may change."""
    return shutil.copytree(nano, tmp_path / "ckpt")


def faults(folder: Path) -> set[str]:
    """The messages of `check`, `load` and the engine hf; equal messages count once."""
    said = set()
    for read in (
        check,
        lambda auto, path: load(auto, str(path)),
        lambda _, path: HfEngine(str(path), budget=BUDGET, dtype="float32").load(),
    ):
        with pytest.raises(Fault) as caught:
            read(AutoModelForImageTextToText, folder)
        said.add(str(caught.value))
    return said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda given: {name.replace("visual.", "vision."): one for name, one in given.items()},
            r"30 missing \(model\.visual\.\S+, model\.visual\.\S+, model\.visual\.\S+, \.\.\.\); "
            r"30 unexpected \(vision\.\S+, vision\.\S+, vision\.\S+, \.\.\.\)\. transformers would fill gaps",
        ),
        (
            lambda given: {name: one for name, one in given.items() if name != FIRST},
            r"1 missing \(model\.language_model\.layers\.0\.mlp\.up_proj\.weight\)\. transformers would fill gaps",
        ),
        (
            lambda given: given | {"lm_head.bias": torch.zeros(3)},
            r"1 unexpected \(lm_head\.bias\)\. transformers would fill gaps",
        ),
        (
            lambda given: given | {FIRST: given[FIRST].T.contiguous()},
            r"1 of another shape \(model\.language_model\.layers\.0\.mlp\.up_proj\.weight \(128, 512\) instead of "
            r"\(512, 128\)\)\. transformers would fill gaps",
        ),
        (lambda given: {"x": torch.zeros(1)}, r"config\.json: num_hidden_layers is 2, but the weights are 1 tensors"),
    ],
    ids=["renamed", "left out", "added", "turned", "another model"],
)
def test_weights_that_are_not_the_models(change: Callable[[Tensors], Tensors], said: str, ckpt: Path) -> None:
    (found,) = faults(changed(ckpt, change))
    assert re.search(said, found) and str(ckpt) in found and "\n" not in found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda ckpt: cut(ckpt / "model.safetensors"), "its header announces"),
        (lambda ckpt: (ckpt / "model.safetensors").write_text("version https://git-lfs"), "not a safetensors file"),
        (lambda ckpt: (ckpt / "model.safetensors").write_bytes(b"\xff" * 64), "not a safetensors file"),
        (lambda ckpt: (ckpt / "model.safetensors").write_bytes(b""), "not a safetensors file"),
        (lambda ckpt: (ckpt / "model.safetensors").rename(ckpt / "pytorch_model.bin"), "cannot be loaded .UnpicklingE"),
        (lambda ckpt: index(ckpt, "model-00001-of-00002.safetensors"), "weights are missing .model-00001"),
        (lambda ckpt: index(ckpt, "tokenizer.json"), "Remove those that are out of date"),
        (lambda ckpt: index(ckpt, "../model.safetensors"), "names the weights '../model.safetensors'"),
        (lambda ckpt: index(ckpt, None), "names the weights None"),
        (lambda ckpt: (ckpt / "model.safetensors.index.json").write_text('{"weight_map": ['), "not JSON"),
        (lambda ckpt: (ckpt / "config.json").write_text("{" * 100_000), "not JSON"),
        (lambda ckpt: (ckpt / "config.json").write_text("[]"), "expected a JSON object, found list"),
        (lambda ckpt: setting(ckpt, "config.json", model_type="no_such_model"), "cannot be loaded"),
        (lambda ckpt: setting(ckpt, "config.json", num_hidden_layers=10**9), "num_hidden_layers is 1000000000"),
        (lambda ckpt: setting(ckpt, "config.json", text_config=7), "cannot be loaded|not"),
        (lambda ckpt: setting(ckpt, "config.json", vision_config={"depth": "two"}), "cannot be loaded"),
    ],
)
def test_folders_that_cannot_be_loaded(spoil: Callable[[Path], object], said: str, ckpt: Path) -> None:
    spoil(ckpt)
    with pytest.raises(Fault, match=said) as caught:
        HfEngine(str(ckpt), budget=BUDGET, dtype="float32").load()
    assert str(ckpt) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "processor_config.json",
                                  "preprocessor_config.json", "video_preprocessor_config.json",
                                  "generation_config.json"])  # fmt: skip
def test_malformed_settings_are_sentences(file: str, nano: Path, tmp_path: Path) -> None:
    text = (nano / file).read_text()
    keys = list(json.loads(text))[:3]
    spoiled = [text[: len(text) // 2], "[" * 100_000, "7", '{"a": "\\ud800"}', "9" * 5000]
    spoiled += [json.dumps(json.loads(text) | {key: value}) for key in keys for value in (-1, [[]], {"a": {}})]
    for number, one in enumerate(spoiled):
        ckpt = shutil.copytree(nano, tmp_path / str(number), copy_function=lambda a, b: Path(b).symlink_to(a))
        (ckpt / file).unlink()
        (ckpt / file).write_text(one)
        if number < 5:
            with pytest.raises(Fault, match=f"^{ckpt}.*[.]$"):
                HfEngine(str(ckpt), budget=BUDGET, dtype="float32").load()
        else:  # transformers may be able to load it; a traceback fails the test
            with suppress(Fault):
                HfEngine(str(ckpt), budget=BUDGET, dtype="float32").load()


def index(ckpt: Path, shard: str | None) -> None:
    (ckpt / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {FIRST: shard}}))


def setting(ckpt: Path, file: str, **values: object) -> None:
    (ckpt / file).write_text(json.dumps(json.loads((ckpt / file).read_text()) | values))


def test_tied_weights_and_buffers_may_be_absent_or_stored(tmp_path: Path) -> None:
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    sizes: dict[str, Any] = dict.fromkeys(("encoder_layers", "decoder_layers"), 1)
    sizes |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    config = M2M100Config(vocab_size=64, d_model=16, encoder_ffn_dim=16, decoder_ffn_dim=16, **sizes)
    M2M100ForConditionalGeneration(config).save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert "lm_head.weight" not in stored and "model.encoder.embed_tokens.weight" not in stored
    shared = stored["model.shared.weight"]

    def as_published(given: Tensors) -> Tensors:
        """As facebook/nllb-200-distilled-600M: each tied weight is stored, and so are the positions, now a buffer."""
        tied = {f"model.{side}.embed_tokens.weight": shared.clone() for side in ("encoder", "decoder")}
        positions = {f"model.{side}.embed_positions.weights": torch.zeros(1026, 16) for side in ("encoder", "decoder")}
        return given | tied | positions | {"lm_head.weight": shared.clone()}

    load(AutoModelForSeq2SeqLM, str(tmp_path))
    model = load(AutoModelForSeq2SeqLM, str(changed(tmp_path, as_published)))
    assert torch.equal(model.lm_head.weight, shared)
    with pytest.raises(Fault, match=r"missing \("):
        load(AutoModelForSeq2SeqLM, str(changed(tmp_path, lambda given: {
            name: one for name, one in given.items() if "embed_tokens" not in name and "shared" not in name
            and "lm_head" not in name})))  # fmt: skip


def test_names_in_memory_and_names_on_disk_are_one(nano: Path, ckpt: Path) -> None:
    def in_memory(given: Tensors) -> Tensors:
        return {
            f"model.{name}" if name.startswith("visual.") else name.replace("model.", "model.language_model.", 1): one
            for name, one in given.items()
        }

    before = load(AutoModelForImageTextToText, str(nano)).state_dict()
    after = load(AutoModelForImageTextToText, str(changed(ckpt, in_memory))).state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert kind_of(ckpt) is AutoModelForImageTextToText


@pytest.fixture
def adapter(nano: Path, tmp_path: Path) -> Path:
    from peft import LoraConfig, get_peft_model

    model: Any = AutoModelForImageTextToText.from_pretrained(nano)
    put_on = get_peft_model(model, LoraConfig(r=2, target_modules=r".*language_model.*\.(q_proj|up_proj)"))
    put_on.save_pretrained(tmp_path / "adapter")
    setting(tmp_path / "adapter", "adapter_config.json", base_model_name_or_path=str(nano))
    return tmp_path / "adapter"


ADAPTER = "adapter_model.safetensors"
UP = "base_model.model.model.language_model.layers.0.mlp.up_proj.lora_A.weight"


def test_an_adapter_that_fits(nano: Path, adapter: Path) -> None:
    skeleton = check(AutoModelForImageTextToText, nano)
    check_adapter(skeleton, str(adapter))
    merged = adapted(load(AutoModelForImageTextToText, str(nano)), str(adapter)).merge_and_unload()
    assert not any(one.is_meta for one in merged.parameters())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda given: {name.replace("up_proj", "down_proj"): one for name, one in given.items()},
         r"of another shape|unexpected"),
        (lambda given: {name.replace("layers", "blocks"): one for name, one in given.items()}, r"8 unexpected"),
        (lambda given: {name: one for name, one in given.items() if name != UP}, rf"1 missing \({UP}\)"),
        (lambda given: given | {f"{UP}.more": torch.zeros(2)}, rf"1 unexpected \({UP}\.more\)"),
        (lambda given: {name: torch.zeros(one.shape[0] * 2, one.shape[1] * 2) for name, one in given.items()},
         r"8 of another shape"),
        (lambda given: {}, r"holds no tensors, so it adapts no module|missing"),
    ],
)  # fmt: skip
def test_an_adapter_that_does_not(change: Any, said: str, nano: Path, adapter: Path) -> None:
    changed(adapter, change, ADAPTER)
    skeleton = check(AutoModelForImageTextToText, nano)
    for read in (
        lambda: HfEngine(str(adapter), budget=BUDGET, dtype="float32").load(),
        lambda: check_adapter(skeleton, str(adapter)),  # the check before vLLM loads
    ):
        with pytest.raises(Fault, match=said) as caught:
            read()
        assert str(adapter) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"target_modules": ["no_such_module"]}, "cannot be loaded .*no_such_module"),
        ({"target_modules": 7}, "cannot be loaded"),
        ({"r": "two"}, "cannot be loaded"),
        ({"r": 4}, "of another shape"),
        ({"target_modules": ["q_proj", "up_proj", "v_proj"]}, "8 missing"),
        ({"peft_type": "IA3"}, "only LoRA adapters are supported|cannot be loaded"),
        ({"peft_type": "NEW"}, "cannot be loaded"),
        ({"base_model_name_or_path": 7}, "name no base"),
    ],
)
def test_an_adapters_settings_that_do_not_fit(values: dict[str, Any], said: str, nano: Path, adapter: Path) -> None:
    setting(adapter, "adapter_config.json", **values)
    with pytest.raises(Fault, match=said):
        HfEngine(str(adapter), budget=BUDGET, dtype="float32").load()
    assert find_checkpoint(str(nano)).adapter is None
