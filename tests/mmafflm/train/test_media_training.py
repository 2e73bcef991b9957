"""Real training of nano on text, pictures and clips together: every rank reads its own share, and no step hangs."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmafflm.dataset import Dataset
from mmafflm.train.plan.plan import Plan, plan
from mmafflm.train.run import train
from tests.forks import Forks
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import MIXED, losses


@pytest.fixture
def forked(forks: Forks, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train` starts its ranks as forks; test_train.py and test_watch.py start them as users do."""
    monkeypatch.setattr("mmafflm.train.run.run", forks.train)


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_zero3_on_two_ranks_takes_text_pictures_and_clips(
    tmp_path: Path, mixed: Dataset, base: str, trained: tuple[Path, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one step a rank has text, the other a picture or a clip. The losses equal those of one rank."""
    import mmafflm.train.plan.plan as recipe_module

    assert {plan_kind(mixed, kind) for kind in ("images", "videos")} == {MIXED}
    recipe = recipe_with(
        tmp_path, deepspeed="deepspeed/zero3.json", per_device_train_batch_size=1, logging_steps=1, global_batch=8
    )
    monkeypatch.setattr(recipe_module, "_workers_per_rank", lambda batches: 4)  # as many shards as two ranks read
    train(recipe, mixed, tmp_path / "one", gpus=1, base=base)
    run, planned = trained
    assert planned.config["dataloader_num_workers"] == 4  # shards: two a rank
    one, two = losses(tmp_path / "one"), losses(run)
    assert two[1] == pytest.approx(one[1], rel=1e-5)  # the same weights; later steps amplify the order of summation
    assert len(one) == 6 and two == pytest.approx(one, rel=2e-3), (one, two)
    assert two[6] < two[1]
    told = json.loads((run / "run.json").read_text())
    assert told["clip_positions"] == "original" and told["mix_videos"] == MIXED


def plan_kind(data: Dataset, kind: str) -> int:
    mix = data.path / data.manifest["mix"]["file"]
    return sum(bool(json.loads(line)[kind]) for line in mix.read_text().splitlines())


@pytest.mark.slow
@pytest.mark.usefixtures("forked")
def test_zero2_takes_pictures_and_clips_in_one_micro_batch(tmp_path: Path, mixed: Dataset, base: str) -> None:
    recipe = recipe_with(
        tmp_path, deepspeed="deepspeed/zero2.json", use_reentrant_gc=False, disable_gradient_checkpointing=False,
        per_device_train_batch_size=4, logging_steps=1, global_batch=8,
    )  # fmt: skip
    train(recipe, mixed, tmp_path / "run", gpus=2, base=base)
    found = losses(tmp_path / "run")
    assert len(found) == 6 and all(map(math.isfinite, found.values())) and found[6] < found[1]


OPENED = """
import json, sys, yaml
import PIL.Image
from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_model, load_tokenizer
from torch import nn
from transformers import Trainer

config = yaml.safe_load(open(sys.argv[1]))
model_args, data_args, training_args, finetuning_args, _ = get_train_args(config)
out = open(f"{sys.argv[1]}.{training_args.process_index}", "a", buffering=1)
real = PIL.Image.open
def counting(file, *rest, **words):
    if isinstance(file, str):
        out.write(file + "\\n")  # workers are forks: each writes whole lines to the same file
    return real(file, *rest, **words)
PIL.Image.open = counting
module = load_tokenizer(model_args)
template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
model = load_model(module["tokenizer"], model_args, finetuning_args, False)
rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
collate = SFTDataCollatorWith4DAttentionMask(template=template, model=model, label_pad_token_id=-100, **module)
out.truncate(0)  # LLaMA-Factory shows one example first
trainer = Trainer(nn.Linear(1, 1), training_args, train_dataset=rows, data_collator=collate)
batches = iter(trainer.get_train_dataloader())
for _ in range(training_args.max_steps * training_args.gradient_accumulation_steps):
    next(batches)
"""


def opened(forks: Forks, folder: Path, config: dict[str, Any], ranks: int) -> list[set[str]]:
    """The media files that each rank, including its data loader's workers, opened in one epoch."""
    folder.mkdir()
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    forks.check(OPENED, [str(folder / "c.yaml")], folder, ranks)
    return [set((folder / f"c.yaml.{rank}").read_text().splitlines()) for rank in range(ranks)]


@pytest.mark.slow
def test_each_of_four_ranks_opens_only_its_own_share_of_the_media(
    tmp_path: Path, mixed: Dataset, base: str, forks: Forks
) -> None:
    recipe = recipe_with(tmp_path, per_device_train_batch_size=1, global_batch=16)
    config = plan(recipe, mixed, gpus=4, base=base, out=tmp_path / "run").config
    ours = opened(forks, tmp_path / "ours", config, 4)
    everything = set().union(*ours)
    assert len(everything) > MIXED * 2
    # two rows with the same picture may be in two shares
    assert sum(map(len, ours)) <= len(everything) * 1.1
    assert max(map(len, ours)) < len(everything) * 0.45
    # As in the paper's scripts: one shard, so every rank tokenizes all rows and takes every fourth.
    theirs = opened(forks, tmp_path / "theirs", {**config, "dataloader_num_workers": 1}, 4)
    assert min(map(len, theirs)) > len(everything) * 0.9
