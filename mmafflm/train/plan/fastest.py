"""`--fastest GPU`: change the settings of a recipe so that it trains in the least estimated time on these cards.

What the model learns from does not change: rows, global batch, learning rate, number of steps. What changes is how a
step is computed: ZeRO stage, micro-batch, gradient checkpointing, and kernels where their package is installed.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from mmafflm.errors import UsageFault
from mmafflm.families.find import why_no_sizes
from mmafflm.train.plan.forecast import forecast, gpu_named, span
from mmafflm.train.plan.memory import Setup
from mmafflm.train.plan.plan import Plan
from mmafflm.train.plan.recipe_file import Config
from mmafflm.train.plan.shipped import RECIPES

KERNELS: dict[str, tuple[str, Any]] = {  # package: key, value
    "flash_attn": ("flash_attn", "fa2"),
    "liger_kernel": ("enable_liger_kernel", True),
}


def plan_for(card: str | None, seed: int | None, make: Callable[..., Plan]) -> Plan:
    """The plan of a recipe. seed: replaces the recipe's seed. card: use the settings that are fastest on these cards.

    make: plan() without its last two arguments, `changes` and `counts`. Raises what `make` raises. With a card, it
    raises UsageFault for a recipe for a CPU, an unknown card, a base without known sizes, and when nothing fits.
    """
    own: Config = {} if seed is None else {"seed": seed}
    planned = make(own)
    if card is None:
        return planned
    keys, said = _fastest(planned, card)
    made = make(own | keys, planned.mix)
    return replace(made, notes=(*made.notes, said))


def _fastest(planned: Plan, card: str) -> tuple[dict[str, Any], str]:
    """The recipe keys with which the plan is fastest on these cards, and a sentence about them."""
    if planned.cpu:
        raise UsageFault(f"{planned.recipe}: --fastest chooses among settings for GPUs. This recipe is for a CPU.")
    gpu, known = gpu_named("--fastest", card), forecast(planned)
    if known is None:
        raise UsageFault(f"--fastest {card}: {why_no_sizes(planned.config['model_name_or_path'])}. Pass --base DIR.")
    found = known.fastest(gpu)
    if found is None:
        raise UsageFault(f"--fastest {card}: nothing fits on {known.setup.ranks} of these cards. Pass a larger --gpus.")
    own = span(known.hours(gpu)) if known.memory().fits(gpu.gib) else "no fit"
    missing = [name for name in KERNELS if not find_spec(name)]
    slower = f" Faster kernels are not installed here: {', '.join(missing)}." if missing else ""
    said = (
        f"--fastest {card}: {found} ({span(known.hours(gpu, found))}, an estimate) instead of {known.setup} ({own})."
        f"{slower}"
    )
    return _keys(found) | dict(KERNELS[name] for name in KERNELS if name not in missing), said


def _keys(setup: Setup) -> dict[str, Any]:
    """The keys of a recipe for this setup."""
    file = "zero2.json" if setup.stage == 2 else "zero3_offload.json" if setup.offload else "zero3.json"
    return {
        "deepspeed": str((RECIPES / "deepspeed" / file).resolve()),
        "per_device_train_batch_size": setup.micro,
        "disable_gradient_checkpointing": not setup.checkpointing,
        "use_reentrant_gc": setup.stage != 2,  # ZeRO-2 fails with it
        "similar_lengths": setup.micro > 1,
    }
