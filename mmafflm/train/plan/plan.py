"""Turn a recipe, data and machines into a complete LLaMA-Factory config, or explain why that is impossible.

A recipe is YAML in LLaMA-Factory's own keys, plus six that only this project knows: `extends`, another recipe whose
keys it changes; `global_batch`, the examples of one optimizer step over all ranks; `hardware` (gpu, the default, or
cpu); `similar_lengths`, see mmafflm/train/stream/similar.py; `validate_every` and `validate_rows`, see
mmafflm/train/watch/validation.py. A recipe must not contain keys that we can compute.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from mmafflm.checkpoints import weight_files
from mmafflm.dataset import MIX, REGISTRY, Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.families.base import Family
from mmafflm.files.documents import read_json
from mmafflm.media.budget import Budget
from mmafflm.train.plan.base_family import choose_family, require_accepted
from mmafflm.train.plan.recipe_file import OURS, Config, read_recipe
from mmafflm.train.plan.recipe_reach import reach_notes, require_own
from mmafflm.train.plan.shipped import RECIPES, find
from mmafflm.train.plan.token_counts import MixCounts, budget_of, scan

PAPER_GPUS = 2
WARMUP_SHARE = 4  # warm-up is at most a quarter of the steps; the paper's is 100 of 450


@dataclass(frozen=True)
class Plan:
    """A complete config, and notes for the person who runs it."""

    config: Config
    notes: tuple[str, ...]
    recipe: Path
    cpu: bool
    gpus: int  # processes on one node, also on a CPU
    nodes: int
    global_batch: int
    mix: MixCounts
    family: Family
    base_is_local: bool
    similar_lengths: bool = False  # the records of a micro-batch are of similar length
    validate: tuple[int, int] | None = None  # steps between validations, and rows of each subset

    @property
    def budget(self) -> Budget:
        """The pixel and frame budget of the run's media: that of the build, or one with fewer pixels."""
        return budget_of(self.config)

    @property
    def ranks(self) -> int:
        """Processes on all nodes together."""
        return self.gpus * self.nodes

    @property
    def ray(self) -> bool:
        """Whether Ray starts the processes, on any machines of its cluster; otherwise torchrun does, on every node."""
        return "ray_num_workers" in self.config

    @property
    def examples(self) -> int:
        """The number of examples that the run trains on, each once."""
        return int(self.config["max_steps"]) * self.global_batch

    def to_yaml(self) -> str:
        """The config as LLaMA-Factory reads it; equal plans give equal text."""
        return yaml.safe_dump(self.config, sort_keys=True, allow_unicode=True)


def plan(
    recipe: Path,
    data: Dataset,
    gpus: int | None = None,
    nodes: int = 1,
    base: str | None = None,
    out: Path | None = None,
    changes: Config | None = None,
    counts: MixCounts | None = None,
) -> Plan:
    """The complete config for this recipe (a file, or the name of a shipped one), data and machines.

    `gpus`: processes on one node; None: 1 on a CPU, else all GPUs of this machine, or 2 if it has none. `changes`: keys
    that replace the recipe's (see fastest.py). `counts`: the mix's, if an earlier plan has them. Raises UsageFault for
    an invalid recipe or a number of ranks that does not divide its batch, Fault when data or base do not fit.
    """
    recipe = find(recipe, RECIPES, "recipe")
    spec = read_recipe(recipe) | (changes or {})
    require_own(recipe, spec)
    _require_mix(data)
    notes: list[str] = []
    cpu = spec.get("hardware", "gpu") == "cpu"
    gpus = _processes(gpus, cpu, notes)
    if gpus < 1 or nodes < 1:
        raise UsageFault(f"--gpus {gpus} --nodes {nodes}: both are 1 or more.")
    config = _config(recipe, spec, data, out or Path("runs") / recipe.stem)
    config["model_name_or_path"], base_is_local = _base(recipe, config, base)
    family = choose_family(recipe, config, notes)
    if "deepspeed" in config:
        config["deepspeed"] = str(_deepspeed_path(recipe, config))
    notes += [*_scaled_down(data, config), *reach_notes(config)]
    mix = counts or scan(data, config, family)
    require_accepted(recipe, family, mix)
    notes += _about(mix)
    _compute_steps(recipe, config, spec["global_batch"], mix.rows, gpus, nodes, notes)
    similar = spec.get("similar_lengths", False)
    _refuse_what_breaks(recipe, config, cpu, mix, family, similar)
    validate = (spec["validate_every"], spec["validate_rows"]) if "validate_every" in spec else None
    batch = spec["global_batch"]
    return Plan(config, tuple(notes), recipe, cpu, gpus, nodes, batch, mix, family, base_is_local, similar, validate)


def _require_mix(data: Dataset) -> None:
    """Raises Fault when a file of the build that training reads has changed.

    A mix that differs from the manifest would be planned, trained and recorded wrongly.
    """
    data.require_unchanged((str(data.manifest["mix"]["file"]), f"mmaffin/parquet/{MIX}.parquet", REGISTRY))
    data.mix_entry()  # raises Fault for a wrong entry, because LLaMA-Factory follows it


def _config(recipe: Path, spec: Config, data: Dataset, out: Path) -> Config:
    """The keys of the recipe and of the build: the whole budget, and the folders of the data and the run."""
    # always in the config, because LLaMA-Factory has other defaults, and evaluation reads these from run.json
    try:
        budget = data.budget.lowered(spec)
    except ValueError as error:
        raise UsageFault(f"{recipe}: {error}. A recipe can only lower the pixels of a build.") from None
    config: Config = {"trust_remote_code": False} | budget.to_json() | {"template": None}
    config |= {key: value for key, value in spec.items() if key not in OURS}
    config |= {"dataset": MIX, "dataset_dir": str((data.path / "mmaffin").resolve())}
    return config | {"media_dir": str(data.path.resolve()), "output_dir": str(out.resolve())}


def _scaled_down(data: Dataset, config: Config) -> list[str]:
    return [
        f"{name} is {config[name]}: media are scaled down from the {stored} of the build."
        for name, stored in data.budget.to_json().items()
        if config[name] != stored
    ]


def _about(mix: MixCounts) -> list[str]:
    how = "counted" if mix.counted else "estimated without a tokenizer"
    what = (
        f"{mix.rows} records, {mix.images} with pictures and {mix.videos} with clips; {mix.tokens:,} tokens ({how}), "
        f"{mix.vision_tokens:,} of them vision; the longest has {mix.longest:,} ({mix.longest_id})."
    )
    if not mix.unsure:
        return [what]
    return [f"{mix.unsure} records might exceed cutoff_len. Counting their tokens needs the base's tokenizer.", what]


def _processes(gpus: int | None, cpu: bool, notes: list[str]) -> int:
    if gpus is not None:
        return gpus
    if cpu:
        return 1
    if found := gpus_here():
        return found
    notes.append(f"No GPU found here: the plan is for {PAPER_GPUS}, as in the paper. Pass --gpus N for another number.")
    return PAPER_GPUS


def gpus_here() -> int:
    """The number of NVIDIA GPUs that this process may use, found without torch, which takes seconds to import."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1", "NoDevFiles")])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def _base(recipe: Path, config: Config, base: str | None) -> tuple[str, bool]:
    """The base model, and whether it is a folder on this machine. Such a folder must hold a model with its weights."""
    name = base or config.get("model_name_or_path")
    if not name:
        raise UsageFault(f"{recipe} has no base model. Pass --base DIR (a small one: mmafflm standin nano --out DIR).")
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not name.startswith("."):
            return name, False  # a name on the hub
        raise Fault(f"{name}: no such folder. Make a base: mmafflm standin nano --out DIR, or pass another.")
    for needed in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        if not (folder / needed).exists() and not (
            needed.startswith("pre") and (folder / "processor_config.json").exists()
        ):
            raise Fault(f"{folder}: no {needed}, so this is not a base model. Download or make it again.")
    weight_files(folder)
    return str(folder.resolve()), True


def _deepspeed_path(recipe: Path, config: Config) -> Path:
    path = Path(config["deepspeed"])
    if not path.is_file():
        raise UsageFault(
            f"{recipe}: deepspeed: {path} does not exist (the path is relative to the recipe that contains it)."
        )
    return path


def _compute_steps(
    recipe: Path, config: Config, batch: int, rows: int, gpus: int, nodes: int, notes: list[str]
) -> None:
    steps, remainder = divmod(rows, batch)
    if steps == 0:
        what = "is empty" if rows == 0 else f"holds {rows} examples, less than one global batch of {batch}"
        raise Fault(f"the training mix {what}. Build more data, or lower global_batch in {recipe}.")
    if remainder:
        notes.append(f"{rows} examples are {steps} steps of {batch}; the {remainder} left over are not trained on.")
    ranks, micro = gpus * nodes, config["per_device_train_batch_size"]
    if batch % (micro * ranks):
        raise UsageFault(_no_division(recipe, batch, micro, gpus, nodes))
    accumulation = batch // (micro * ranks)
    per_rank = _workers_per_rank(steps * accumulation)
    if ranks > 1 and per_rank == 0:
        notes.append(
            f"{steps} x {accumulation} batches a rank have no divisor from 2 to 16, so every rank reads all data."
        )
    config |= {
        "max_steps": steps,
        "gradient_accumulation_steps": accumulation,
        "dataloader_num_workers": per_rank * ranks or 1,
        "accelerator_config": {"dispatch_batches": False},
        "logging_nan_inf_filter": False,
    }
    if "ray_init_kwargs" in config:
        config["ray_num_workers"] = ranks
    if (warmup := config.get("warmup_steps", 0)) > steps // WARMUP_SHARE:
        config["warmup_steps"] = steps // WARMUP_SHARE
        notes.append(f"warm-up is {steps // WARMUP_SHARE} steps, not {warmup}: at most a quarter of all {steps} steps.")


def _workers_per_rank(batches: int) -> int:
    """k, the shards that each rank reads: the least k from 2 to 16 that divides its micro-batches, else 0.

    LLaMA-Factory cuts the mix into k x ranks contiguous shards whose lengths differ by at most one. A rank takes its
    micro-batches from its k shards in turn. If k divides their number, each shard gives equally many whole batches and
    is long enough for them: rows >= steps x batch, so floor(rows / (k x ranks)) >= the rows needed from one shard. No
    rank ends early, no batch is short, and the rows left over are at the end of each shard. If k does not divide it,
    one shard could be one batch short. With 0, the mix is one shard. Every rank reads all of it, and keeps every
    ranks-th micro-batch. That is exact too, but slower.
    """
    return next((k for k in range(2, 17) if batches % k == 0), 0)


def _no_division(recipe: Path, batch: int, micro: int, gpus: int, nodes: int) -> str:
    fits = [n for n in range(1, batch + 1) if batch % (micro * n * nodes) == 0]
    nearest = [n for n in fits if n < gpus][-2:] + [n for n in fits if n > gpus][:2]
    works = f"--gpus {' or '.join(map(str, nearest))} work" if nearest else "no number of GPUs works with these nodes"
    return (
        f"{recipe}: per-device batch {micro} x {gpus} x {nodes} ranks does not divide the global batch of {batch}: "
        f"{works}; or change per_device_train_batch_size."
    )


def _refuse_what_breaks(recipe: Path, config: Config, cpu: bool, mix: MixCounts, family: Family, similar: bool) -> None:
    """Raises UsageFault for combinations that fail, hang or report something false (docs/reference/training.md)."""
    stage = _zero_stage(recipe, config)
    micro = config["per_device_train_batch_size"]
    # with similar_lengths, stream/similar.py looks at each micro-batch
    both = micro > 1 and mix.images > 0 and mix.videos > 0 and not similar
    hangs, swapped = both and stage == 3 and family.mixed_media_hangs, both and family.mixed_media_swapped
    deepspeed_bf16 = cpu and stage is not None and (config.get("bf16") or config.get("fp16"))
    checks = {
        "packing breaks the attention mask of this model. Remove packing and neat_packing": config.get("packing")
        or config.get("neat_packing"),
        "use_cpu turns DeepSpeed off silently. Remove use_cpu; hardware: cpu is enough": stage is not None
        and config.get("use_cpu"),
        "DeepSpeed on a CPU trains in fp32. Set bf16: false": deepspeed_bf16,
        "the mix holds images and videos, and a micro-batch with both hangs under ZeRO-3. "
        "Set per_device_train_batch_size: 1 or similar_lengths: true, or use ZeRO-2": hangs,
        f"the mix holds images and videos. For a micro-batch with both, LLaMA-Factory gives {family.name} the "
        "pictures first, whatever the order of the rows. Set per_device_train_batch_size: 1 or "
        "similar_lengths: true": swapped,
        "ZeRO-2 fails with reentrant gradient checkpointing. Set use_reentrant_gc: false": stage == 2
        and config.get("use_reentrant_gc", True)
        and not config.get("disable_gradient_checkpointing"),
        "predict_with_generate is impossible under ZeRO-3. Predict with: mmaffben predict": stage == 3
        and config.get("predict_with_generate"),
    }
    for sentence, broken in checks.items():
        if broken:
            raise UsageFault(f"{recipe}: {sentence}.")


def _zero_stage(recipe: Path, config: Config) -> int | None:
    if "deepspeed" not in config:
        return None
    try:
        return int(read_json(Path(config["deepspeed"]), "Correct it.")["zero_optimization"]["stage"])
    except (ValueError, KeyError, TypeError):
        raise UsageFault(f"{config['deepspeed']}: this DeepSpeed config has no zero_optimization.stage.") from None
