"""Every family is asked about text, pictures and clips by one path, or says in one sentence why not."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from eval.ask.ablation import questions
from eval.ask.predict import predict
from eval.compare.compare import compare_runs
from eval.engines import Question
from eval.engines.hf.engine import HfOptions, make
from eval.engines.hf.fast import FastPath
from eval.engines.hf.generic import GenericPath
from eval.run.checkpoint import find_checkpoint
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import Record, read_jsonl
from tests.budget import BUDGET
from tests.data_files import write_data
from tests.eval import chat_templates as chat
from tests.eval.tiny_families import (
    IMAGES,
    TEXT,
    VIDEOS,
    Tiny,
    llama_without_template,
    llava,
    llava_next_video,
    qwen2_vl,
    tokens,
    write_tiny,
)
from tests.media_files import clip_bytes, picture_of

SUBSETS = {"text": "onlineshopping", "image": "CFAPS_EC", "video": "CHSIMS_SP"}
ROWS = 4
ALL = (*TEXT, *IMAGES, *VIDEOS)
CANDIDATES = ["0. neutral", "-0.8", "1. joy, 2. sadness"]


def record(subset: str, number: int, images: list[str], frames: list[str]) -> Record:
    task = benchmark()[subset].tasks[0]
    turns = [
        {"role": "user", "content": task.ask(f"{'Really, ' * (3 * number)}what a day.", "joy")},
        {"role": "assistant", "content": "0. neutral"},
    ]
    return Record(
        f"{subset}/test/{number:06}", subset, task.kind, "test", "en", task.modality, f"label.csv:{number}", turns,
        images, [frames] if frames else [], ["neutral"],
    )  # fmt: skip


def made_data(folder: Path, rows: int = ROWS, raw_video: bool = False) -> Dataset:
    """A DATA folder with rows of each modality; clips have 1, 1, 2, 2 ... frames, or are files of 1, 2 ... s."""
    (folder / "media").mkdir(parents=True)
    by_subset: dict[str, list[Record]] = {subset: [] for subset in SUBSETS.values()}
    for number in range(rows):
        picture, frames = f"media/p{number}.png", [f"media/c{number}-{at}.png" for at in range(number // 2 % 6 + 1)]
        picture_of(100 + 30 * number, 80 + 20 * (number % 3), number).save(folder / picture)
        for at, frame in enumerate(frames):
            picture_of(140, 112, 10 * number + at).save(folder / frame)
        by_subset[SUBSETS["text"]].append(record(SUBSETS["text"], number, [], []))
        by_subset[SUBSETS["image"]].append(record(SUBSETS["image"], number, [picture], []))
        film = record(SUBSETS["video"], number, [], frames)
        if raw_video:
            film = replace(film, videos=[f"media/c{number}.mp4"])
            (folder / f"media/c{number}.mp4").write_bytes(clip_bytes(25 * (number + 1), size=(160, 120)))
        by_subset[SUBSETS["video"]].append(film)
    return write_data(folder, by_subset)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made_data(tmp_path_factory.mktemp("data") / "data")


@pytest.fixture(scope="module")
def tiny(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Path], Tiny]], Path]:
    """Writes the checkpoint of a family once."""
    folder = tmp_path_factory.mktemp("tiny")

    @cache
    def written(family: Callable[[Path], Tiny]) -> Path:
        if family.__name__ == "smolvlm" and find_spec("num2words") is None:
            pytest.skip("SmolVLM's processor needs num2words")
        return write_tiny(family, nano, folder / family.__name__)

    return written


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "chat.jinja"
    path.write_text(chat.MISTRAL.removeprefix("<s>"))
    return path


def takes(family: Callable[[Path], Tiny]) -> tuple[str, ...]:
    return ("text", *["image"] * (family in IMAGES + VIDEOS), *["video"] * (family in VIDEOS))


def answers(run: Path) -> dict[str, list[str]]:
    return {path.stem: [row["prediction"] for row in read_jsonl(path)] for path in sorted(run.glob("predictions/*"))}


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.__name__)
def test_every_family_answers_whatever_the_batch_size(
    family: Callable[[Path], Tiny], tiny: Any, data: Dataset, tmp_path: Path, template: Path
) -> None:
    options = {"chat_template": str(template)} if family is llama_without_template else {}
    options |= {"clips": "frames", "max_frames": "3"} if family in IMAGES else {}
    ckpt = tiny(family)
    for batch_size in (4, 1):
        predict(ckpt, data, tmp_path / str(batch_size), None, ROWS, None, batch_size, "float32", options=options)
    run = json.loads((tmp_path / "4/run.json").read_text())
    found, asked = answers(tmp_path / "4"), takes(family) + ("video",) * (family in IMAGES)
    assert run["accepts"] == list(asked) and sorted(found) == sorted(SUBSETS[kind] for kind in asked)
    assert all(len(texts) == ROWS for texts in found.values())
    assert all(len(set(texts)) > 1 for texts in found.values()), found
    assert answers(tmp_path / "1") == found
    model = run["model"]
    assert model["type"] in ckpt.joinpath("config.json").read_text() and len(model["chat_template_sha256"]) == 64
    assert sorted(model["inputs"]) == sorted(asked)
    if family in IMAGES:
        assert run["decoding"]["max_frames"] == 3 and model["inputs"]["video"]["frames"] == [1]


@pytest.mark.parametrize(
    "family", [one for one in ALL if one is not llama_without_template], ids=lambda one: one.__name__
)
def test_likelihoods_are_those_of_whole_passes(family: Callable[[Path], Tiny], tiny: Any, data: Dataset) -> None:
    """One pass for each candidate with the prompt's cache gives what the model gives without a cache."""
    path = GenericPath(find_checkpoint(str(tiny(family))), "float32", data.path, BUDGET)
    for kind in (*takes(family), "text"):  # text again: the Qwen models keep a state from pictures
        question = questions(list(data.records(SUBSETS[kind], "test")))[2]
        (((_, found),),) = path.likelihoods([question], [0], CANDIDATES, 4)
        expected = [whole(path, question, text) for text in CANDIDATES]
        assert found == pytest.approx(expected, abs=1e-3), kind
        assert len({round(one, 3) for one in found}) == len(CANDIDATES)


def whole(path: GenericPath, question: Question, text: str) -> float:
    """ln P(text, end of turn | question) without a cache: the prompt's input with the answer added to it."""
    answer = [*path.tokenizer(text, add_special_tokens=False)["input_ids"], path.end_of_turn()]
    inputs = dict(path.inputs([question]))
    size = inputs["input_ids"].shape[1]
    for name, part in inputs.items():
        if name == "input_ids":
            inputs[name] = torch.cat([part, torch.tensor([answer])], 1)
        elif part.dim() > 1 and part.shape[:2] == (1, size):  # a value for each token, such as a mask
            after = torch.zeros_like(part[:, -1:]) if name.endswith("type_ids") else part[:, -1:]
            inputs[name] = torch.cat([part, *[after] * len(answer)], 1)
    with torch.inference_mode():
        logits = path.model(**inputs, use_cache=False).logits[0, size - 1 : -1].double()
    return float(logits.log_softmax(-1)[range(len(answer)), answer].sum())


def test_what_a_model_cannot_take_is_refused_before_anything_is_written(
    tiny: Any, data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(UsageFault, match=r"CHSIMS_SP: cannot be evaluated, .* text and image only\. .*clips=frames"):
        predict(tiny(llava), data, tmp_path / "run", ["onlineshopping", "CHSIMS_SP"])
    with pytest.raises(UsageFault, match=r"CFAPS_EC: cannot be evaluated, because the model accepts text only"):
        predict(tiny(TEXT[0]), data, tmp_path / "run", ["CFAPS_EC"])
    with pytest.raises(UsageFault, match="max_frames needs --option clips=frames"):
        make(str(tiny(llava)), "auto", data.path, BUDGET, {"max_frames": "3"})
    with pytest.raises(UsageFault, match=r"chat_template=.*cannot be read"):
        make(str(tiny(llava)), "auto", data.path, BUDGET, {"chat_template": str(tmp_path / "none.jinja")})
    assert not (tmp_path / "run").exists()


def test_a_model_that_cannot_be_asked_is_one_sentence_and_leaves_nothing(
    tiny: Any, data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(Fault, match=r"has no chat template.*--option chat_template=FILE"):
        predict(tiny(llama_without_template), data, tmp_path / "run")
    (tmp_path / "bad.jinja").write_text("{{ raise_exception('Only systems talk to me') }}")
    with pytest.raises(Fault, match=r"failed to answer .*Only systems talk to me"):
        predict(tiny(llava), data, tmp_path / "run", options={"chat_template": str(tmp_path / "bad.jinja")})
    assert not (tmp_path / "run").exists()


def test_older_weights_answer_as_the_same_in_safetensors(tiny: Any, data: Dataset, tmp_path: Path) -> None:
    ckpt = tiny(TEXT[0])
    older = tmp_path / "older"
    older.mkdir()
    for path in ckpt.iterdir():
        if path.suffix != ".safetensors":
            (older / path.name).write_bytes(path.read_bytes())
    from safetensors.torch import load_file

    torch.save(load_file(ckpt / "model.safetensors"), older / "pytorch_model.bin")
    for folder in (ckpt, older):
        predict(folder, data, tmp_path / f"run-{folder.name}", dtype="float32")
    assert answers(tmp_path / "run-older") == answers(tmp_path / f"run-{ckpt.name}")
    (older / "pytorch_model.bin").write_bytes(b"cbuiltins\neval\n(S'1/0'\ntR.")  # a pickle that calls a function
    with pytest.raises(Fault, match="cannot be loaded"):
        predict(older, data, tmp_path / "run-evil")
    assert not (tmp_path / "run-evil").exists()


@pytest.mark.parametrize("family", ["nano", "qwen2_vl"])
def test_the_fast_and_the_generic_path_agree(family: str, looking: Path, tiny: Any, tmp_path: Path) -> None:
    """Equal prompts and answers, for clips of up to 6 frames; for longer ones transformers' positions differ."""
    data = made_data(tmp_path / "data", 12)
    ckpt = find_checkpoint(str(looking if family == "nano" else tiny(qwen2_vl)))
    fast = FastPath(ckpt, "float32", data.path, BUDGET)
    generic = GenericPath(ckpt, "float32", data.path, BUDGET)
    for subset in SUBSETS.values():
        asked = questions(list(data.records(subset, "test")))
        assert [generic.inputs([one])["input_ids"][0].tolist() for one in asked] == [*map(list, fast.encode(asked))]
        found = [
            dict(row for batch in path.answer(asked, range(12), 8, 4) for row in batch) for path in (fast, generic)
        ]
        assert found[0] == found[1] and len(set(found[0].values())) > 3


@pytest.mark.parametrize("family", [qwen2_vl, llava_next_video], ids=lambda family: family.__name__)
def test_media_as_the_models_own_processor_takes_them(
    family: Callable[[Path], Tiny], tiny: Any, data: Dataset, tmp_path: Path
) -> None:
    ckpt, native = tiny(family), {"media": "native"}
    with pytest.raises(Fault, match=r"stored as frames, .* build with --raw-video"):
        predict(ckpt, data, tmp_path / "run", options=native)
    assert not (tmp_path / "run").exists()
    raw = made_data(tmp_path / "data", 2, raw_video=True)
    predict(ckpt, raw, tmp_path / "native", dtype="float32", options=native)
    predict(ckpt, raw, tmp_path / "budget", dtype="float32")
    run = json.loads((tmp_path / "native/run.json").read_text())
    assert run["media"] == "native" and run["template"] == "the checkpoint's own"
    seen = run["model"]["inputs"]["video"]
    assert seen["frames"] == [4 if family is qwen2_vl else 2]  # qwen-vl-utils takes at least 4 of a second
    if family is qwen2_vl:
        predict(ckpt, raw, tmp_path / "decord", dtype="float32", options=native | {"reader": "decord"})
        again = json.loads((tmp_path / "decord/run.json").read_text())
        assert again["decoding"]["reader"] == "decord" and again["model"]["inputs"] == run["model"]["inputs"]
    with pytest.raises(Fault, match="media: budget and native"):
        compare_runs(tmp_path / "budget", tmp_path / "native", raw)


def mamba(nano: Path) -> Tiny:
    """It has a state in place of a cache of keys and values."""
    tokenizer = tokens(nano)
    tokenizer.chat_template = chat.QWEN
    config = transformers.MambaConfig(vocab_size=len(tokenizer), hidden_size=32, state_size=4, num_hidden_layers=2,
                            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)  # fmt: skip
    return Tiny(transformers.MambaForCausalLM(config), tokenizer)


def test_a_model_without_a_cache_is_asked_but_not_weighed(tiny: Any, data: Dataset, tmp_path: Path) -> None:
    ckpt = tiny(mamba)
    with pytest.raises(Fault, match=r"failed to answer .* can be evaluated with --readout greedy") as caught:
        predict(ckpt, data, tmp_path / "choice", [SUBSETS["text"]], ROWS, readout="choice")
    assert "\n" not in str(caught.value) and not (tmp_path / "choice").exists()
    predict(ckpt, data, tmp_path / "greedy", [SUBSETS["text"]], ROWS)
    assert len(answers(tmp_path / "greedy")[SUBSETS["text"]]) == ROWS


def test_the_options_of_the_engine() -> None:
    assert HfOptions.model_validate({}).max_frames == 8
    with pytest.raises(
        UsageFault, match="The options of the engine hf are chat_template, clips, media, max_frames, reader"
    ):
        make("nobody/nothing", "auto", Path(), BUDGET, {"clip": "frames"})
