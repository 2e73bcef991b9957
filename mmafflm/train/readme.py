"""RUN/README.md: what a finished run is and how to use it. It replaces the model card that the Trainer generates."""

import shlex
from pathlib import Path

from mmafflm.records import write_text
from mmafflm.run_file import RUN, read_run
from mmafflm.train.plan.plan import Plan

README = "README.md"
TEXT = """---
library_name: {library}
{base_line}tags:
- llama-factory
- mmafflm
---

# {name}

Trained by `mmafflm train` (mmafflm {version}) with LLaMA-Factory on MMAFFIn, the training data of MMAFFBen
(arXiv 2505.24423). `{run}` has these facts and more; `llamafactory.yaml` is the complete config.

| | |
|---|---|
| recipe | `{recipe}` |
| base model | `{base}` |
| what is trained | {trained} |
| data | `{data}`, hash `{data_hash}` |
| training mix | {rows:,} records, {videos:,} of them with clips |
| training | {steps:,} steps of {batch:,} examples, {examples:,} in all, each once |
| processes | {ranks} |
| learning rate | {rate} |
| seed | {seed} |
| packages | {versions} |

## Files

- {weights}
- `{run}`: base, data and media budget; `mmaffben predict` reads it.
- `progress.jsonl`, `curves.png`: loss, speed and the examples seen so far, by step.
- `trainer_log.jsonl`: the Trainer's own log.
- `checkpoint-*/`: the last checkpoints.

## Use

```
mmaffben predict --ckpt {here} --data DATA --out RUN
mmaffben score RUN --data DATA
```

This file has no scores on the benchmark. `mmaffben report` writes a model card with scores. The licence of the
base model and the terms of the corpora (README.md of the data) apply to these weights.
"""


def write_readme(out: Path, planned: Plan) -> None:
    """Write OUT/README.md from the plan and from OUT/run.json."""
    run, config = read_run(out) or {}, planned.config
    adapter = config.get("finetuning_type", "lora") == "lora"  # LLaMA-Factory's default
    base, versions = str(config["model_name_or_path"]), run["versions"]
    text = TEXT.format(
        library="peft" if adapter else "transformers",
        base_line="" if planned.base_is_local else f"base_model: {base}\n",
        name=out.resolve().name,
        version=versions.get("mmafflm", "unknown"),
        run=RUN,
        recipe=planned.recipe.name,
        base=base,
        trained="a LoRA adapter" if adapter else f"{config.get('finetuning_type')} fine-tuning",
        data=run["data"],
        data_hash=run["data_hash"],
        rows=planned.mix.rows,
        videos=planned.mix.videos,
        steps=config["max_steps"],
        batch=planned.global_batch,
        examples=planned.examples,
        ranks=planned.ranks,
        rate=config.get("learning_rate", "LLaMA-Factory's default"),
        seed=run["seed"],
        versions=", ".join(f"{name} {one}" for name, one in versions.items()),
        weights="`adapter_model.safetensors`, `adapter_config.json`: the adapter; it needs its base." if adapter
        else "`*.safetensors`, `config.json`, the tokenizer and the processor: the model.",
        here=shlex.quote(str(out)),
    )  # fmt: skip
    write_text(out / README, text)
