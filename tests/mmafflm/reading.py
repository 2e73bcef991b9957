"""The rows that LLaMA-Factory and accelerate read from a config's mix, rank by rank, without training on them."""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.forks import Forks

READ = """
import json, sys, yaml
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
from transformers import Trainer
from torch import nn

for path in sys.argv[1:]:
    config = yaml.safe_load(open(path))
    model_args, data_args, training_args, *_ = get_train_args(config)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    train = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    ids = lambda features: [int(module["tokenizer"].decode(one["input_ids"]).split("Row ")[1][:6]) for one in features]
    trainer = Trainer(nn.Linear(1, 1), training_args, train_dataset=train, data_collator=ids)
    batches = iter(trainer.get_train_dataloader())  # accelerate's, sharded over ranks and workers as in training
    steps = training_args.max_steps
    if training_args.resume_from_checkpoint:
        steps -= int(training_args.resume_from_checkpoint.rpartition("-")[2])
    seen = [next(batches) for _ in range(steps * training_args.gradient_accumulation_steps)]
    json.dump(seen, open(f"{path}.{training_args.process_index}", "w"))
"""


def read_ids(forks: Forks, folder: Path, configs: list[dict[str, Any]], ranks: int) -> list[list[list[list[int]]]]:
    """The row numbers of every micro-batch, for each config and rank, in reading order.

    A config with resume_from_checkpoint is read from the beginning of its stream, for the remaining steps.
    """
    names = [str(folder / f"{number}.yaml") for number in range(len(configs))]
    for name, config in zip(names, configs, strict=True):
        Path(name).write_text(yaml.safe_dump(config))
    forks.check(READ, names, folder, ranks if ranks > 1 else 0)
    return [[json.loads(Path(f"{name}.{rank}").read_text()) for rank in range(ranks)] for name in names]
