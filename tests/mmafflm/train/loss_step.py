"""Run several LLaMA-Factory configs in one process, so that its 10 s of imports are paid once; prints JSON.

    python -m tests.mmafflm.train.loss_step VERB CONFIG [VERB CONFIG]...

train: its logs are in its output_dir. gradients: one micro-batch forward and back. labels: every row of its data set,
as it reaches the model.
"""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_model, load_tokenizer
from llamafactory.train.tuner import run_exp

IGNORED = -100
MEDIA = ("<|image_pad|>", "<|video_pad|>")


def gradients(config: dict[str, Any]) -> dict[str, float | None]:
    """The largest absolute gradient of every parameter; None for a parameter without a gradient."""
    model_args, data_args, training_args, finetuning_args, _ = get_train_args(config)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    model = load_model(module["tokenizer"], model_args, finetuning_args, is_trainable=True).train()
    collate = SFTDataCollatorWith4DAttentionMask(template=template, model=model, label_pad_token_id=IGNORED, **module)
    batch = collate(list(islice(rows, training_args.per_device_train_batch_size)))
    model(**batch).loss.backward()
    return {name: None if one.grad is None else float(one.grad.abs().max()) for name, one in model.named_parameters()}


def labels(config: dict[str, Any]) -> dict[str, Any]:
    """For each row: tokens except those of media, how many media tokens, ignored labels, and the labels after them."""
    model_args, data_args, training_args, _, _ = get_train_args(config)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    media = set(module["tokenizer"].convert_tokens_to_ids(list(MEDIA)))
    found = []
    for row in rows:
        bare = [one for one in row["input_ids"] if one not in media]
        start = next((at for at, label in enumerate(row["labels"]) if label != IGNORED), len(row["labels"]))
        assert row["labels"][start:] == row["input_ids"][start:]
        found.append([bare, len(row["input_ids"]) - len(bare), start, row["labels"][start:]])
    return {"rows": found}


def main() -> None:
    """Run each verb with the config that follows it."""
    verbs = {"train": run_exp, "gradients": gradients, "labels": labels}
    pairs = zip(sys.argv[1::2], sys.argv[2::2], strict=True)
    found = [verbs[verb](yaml.safe_load(Path(path).read_text())) for verb, path in pairs]
    print(f"\n{json.dumps(found)}")  # after the first example that LLaMA-Factory prints


if __name__ == "__main__":
    main()
