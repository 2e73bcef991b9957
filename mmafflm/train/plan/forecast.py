"""Estimates before the run: which GPUs it fits on, roughly how long it takes, and how much it writes.

Every number is printed as an estimate. Memory is computed in memory.py. The time has two parts. One is the time for the
model's FLOPs at 50% and at 30% of the cards' published dense bf16 rate. The other is the time for the bytes that ZeRO
moves between the cards of one node, at the published rate of their links. Our records are short (a few hundred tokens)
and ZeRO-3 gathers all weights for every micro-batch, so the second part is often the larger. The estimate leaves out
the network between nodes, the transfers of an offloaded optimizer to the host, reading the data, and the first step.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from mmafflm.errors import Fault, UsageFault
from mmafflm.families.base import Architecture, Trainable
from mmafflm.families.find import architecture_of, why_no_sizes
from mmafflm.files.writing import free_bytes
from mmafflm.train.plan.memory import GIB, USABLE, Load, Memory, Setup, checkpoint_bytes, memory
from mmafflm.train.plan.plan import Plan

UTILIZATION = 0.5, 0.3
MOST_RANKS = 64
MICRO = 1, 2, 4, 8, 16, 32


class Gpu(NamedTuple):
    """A card: memory in GiB as nvidia-smi reports it; the other values are from NVIDIA's data sheets.

    `tflops` is the dense bf16 rate. `link` is GB/s to the other cards in one direction: NVLink, or PCIe 4.0 x16.
    """

    gib: float
    tflops: float
    link: float


GPUS = {
    "A100-40": Gpu(40.0, 312, 300),
    "A100-80": Gpu(80.0, 312, 300),
    "H100-80": Gpu(79.6, 989, 450),
    "H200-141": Gpu(140.4, 989, 450),
    "L40S-48": Gpu(45.0, 362, 32),
    "A6000-48": Gpu(48.0, 155, 32),
    "RTX4090-24": Gpu(24.0, 165, 32),
}


@dataclass(frozen=True)
class Forecast:
    """A plan with the sizes of its base model."""

    plan: Plan
    size: Architecture
    trained: Trainable
    setup: Setup

    @property
    def lora(self) -> bool:
        """Whether training updates adapters instead of the weights themselves."""
        return bool(self.plan.config.get("finetuning_type", "lora") == "lora")

    def memory(self, setup: Setup | None = None) -> Memory:
        """The memory for the longest record of the mix, with the plan's setup or another."""
        mix = self.plan.mix
        setup = setup or self.setup
        waiting = mix.vision_tokens / max(1, mix.rows) * self.plan.global_batch / setup.ranks
        return memory(self.size, self.trained, setup, Load(mix.longest, mix.most_vision, waiting), self.lora)

    def flops(self, setup: Setup | None = None) -> float:
        """FLOPs of the whole run: for the mix's tokens, without padding and without the rows that are left over."""
        mix, size = self.plan.mix, self.size
        work = size.flops(mix.tokens, mix.vision_tokens, self.trained)
        if (setup or self.setup).checkpointing:
            work += size.recomputed(mix.tokens, mix.vision_tokens, self.trained)
        return work * self.plan.examples / max(1, mix.rows)

    @property
    def disk(self) -> int:
        """The most bytes that a run has on disk: save_total_limit checkpoints, one that is being written, weights."""
        one = checkpoint_bytes(self.size, self.trained, self.setup, self.lora)
        limit = self.plan.config.get("save_total_limit")
        every = max(1, int(self.plan.config.get("save_steps", 500)))
        kept = int(self.plan.config["max_steps"]) // every + 1  # the last step is saved too
        if limit is not None:
            kept = min(kept, int(limit) + 1)
        weights = self.trained.total if self.lora else self.size.parameters
        return one * kept + (2 if self.setup.half and self.setup.stage else 4) * weights

    def moved(self, setup: Setup | None = None) -> float:
        """Bytes that each card receives in the whole run.

        ZeRO-3 gathers the weights for the forward and for the backward pass of every micro-batch, and scatters the
        gradients. ZeRO-2 only scatters the gradients. Without DeepSpeed the gradients are summed once a step.
        """
        setup = setup or self.setup
        unit = 2 if setup.half else 4
        rounds: float = self.plan.examples / (setup.ranks * setup.micro)
        if setup.stage == 0:
            steps = int(self.plan.config["max_steps"])
            return 2.0 * unit * self.trained.total * steps * (setup.ranks > 1)
        each = unit * self.trained.total + (2 * unit * self.size.parameters if setup.stage == 3 else 0)
        return each * rounds * (setup.ranks - 1) / setup.ranks

    def hours(self, gpu: Gpu, setup: Setup | None = None) -> tuple[float, float]:
        """(least, most). Least: computing at 50%, transfers at the same time. Most: at 30%, transfers afterwards."""
        work, ranks = self.flops(setup), (setup or self.setup).ranks
        fast, slow = (work / (ranks * gpu.tflops * 1e12 * share) / 3600 for share in UTILIZATION)
        links = self.moved(setup) / (gpu.link * 1e9) / 3600
        return max(fast, links), slow + links

    def fastest(self, gpu: Gpu, ranks: int | None = None) -> Setup | None:
        """The setup with the least `most` time that fits on this many cards; None when nothing fits.

        Offload comes last, because the time of its transfers to the host is not estimated.
        """
        here = replace(self.setup, ranks=ranks or self.setup.ranks)
        each = (
            here.with_zero(stage, offload, micro, checkpointing)
            for stage, offload in ((2, False), (3, False), (3, True))
            for micro in MICRO
            for checkpointing in (True, False)
            if self.plan.global_batch % (micro * here.ranks) == 0
        )
        fitting = [setup for setup in each if self.memory(setup).fits(gpu.gib)]
        return min(fitting, key=lambda setup: (setup.offload, self.hours(gpu, setup)[1]), default=None)


def forecast(plan: Plan) -> Forecast | None:
    """The plan with its base's sizes; None when we have no config.json of the base, or it lacks a size."""
    size = architecture_of(plan.config["model_name_or_path"])
    if size is None:
        return None
    setup = Setup.of(plan.config, plan.ranks, plan.nodes)
    return Forecast(plan, size, size.trainable(plan.config), setup)


def gpu_named(flag: str, name: str) -> Gpu:
    """The card of this name. Raises UsageFault for an unknown name; the message starts with `flag`."""
    if name not in GPUS:
        raise UsageFault(f"{flag} {name}: not a known card; known are {', '.join(GPUS)}.")
    return GPUS[name]


def require_gpu(plan: Plan, name: str) -> None:
    """Raises UsageFault when the plan does not fit on cards of this name; the message says what would fit."""
    gpu, known = gpu_named("--gpu", name), forecast(plan)
    if known is None:
        raise UsageFault(f"--gpu {name}: {why_no_sizes(plan.config['model_name_or_path'])}. Pass --base DIR.")
    needs = known.memory().total
    if not known.memory().fits(gpu.gib):
        raise UsageFault(
            f"{plan.recipe}: needs about {needs / GIB:.0f} GiB a GPU ({known.setup}, {plan.ranks} GPUs, longest record "
            f"{plan.mix.longest:,} tokens), but {name} has {USABLE * gpu.gib:.0f} GiB to use. {_instead(known, gpu)}"
        )


def _instead(known: Forecast, gpu: Gpu) -> str:
    """What fits on these cards: on as many of them as planned, or on 2, 4, 8, ... times as many."""
    ranks = known.setup.ranks
    while ranks <= MOST_RANKS:
        if found := known.fastest(gpu, ranks):
            host = known.memory(found).host / GIB
            told = f"{found}{f' ({host:.0f} GiB of host memory a node)' if host else ''}"
            return f"{told} fits." if ranks == known.setup.ranks else f"On {ranks} of these cards, {told} fits."
        ranks *= 2
    return "No number of these cards fits: lower cutoff_len or the pixel limits, or choose a larger card."


def notes(plan: Plan, out: Path) -> Iterator[str]:
    """The estimate as lines for a person: memory, disk, steps and FLOPs, and a table of the known cards."""
    known = forecast(plan)
    if known is None:
        yield f"No estimate: {why_no_sizes(plan.config['model_name_or_path'])}."
        return
    needs, mix = known.memory(), plan.mix
    parts = ("weights", "gradients", "optimizer", "gathered", "kept", "working")
    names = ("weights", "gradients", "optimizer", "buffers", "activations", "logits")
    unit, places = (GIB, 1) if needs.total >= GIB else (2**20, 0)
    each = zip(names, parts, strict=True)
    shares = ", ".join(f"{name} {getattr(needs, part) / unit:.{places}f}" for name, part in each)
    where = "process" if plan.cpu else "GPU"
    yield (
        f"Estimate: {_size(needs.total)} a {where} at the longest record ({mix.longest:,} tokens; "
        f"{known.setup}): {shares}."
    )
    yield from host_notes(plan)
    free = free_bytes(out)
    short = ". That is too little, and train would refuse to start" if free < known.disk else ""
    yield f"Estimate: {_size(known.disk)} of disk for the checkpoints, {_size(free)} free here{short}."
    yield (
        f"{plan.config['max_steps']} steps of {plan.global_batch}, {known.size.parameters:,} parameters, "
        f"{known.trained.total:,} of them trained; about {known.flops():.2g} FLOPs."
    )
    if not plan.cpu:
        yield from _table(known)


def _table(known: Forecast) -> Iterator[str]:
    moved = f"{known.moved() / GIB:,.0f} GiB reach each card"
    yield f"Times are estimates: 50% of the card's rate with all transfers hidden, to 30% with none hidden ({moved})."
    yield f"{'GPU x ' + str(known.setup.ranks):14} {'this recipe':16} {'the fastest':16} with --fastest GPU"
    for name, gpu in GPUS.items():
        own = span(known.hours(gpu)) if known.memory().fits(gpu.gib) else "does not fit"
        found = known.fastest(gpu)
        best = span(known.hours(gpu, found)) if found else "-"
        yield f"{name:14} {own:16} {best:16} {_instead(known, gpu)}"


def span(hours: tuple[float, float]) -> str:
    """From the least to the most time: "1.2 to 3.4 h", or in minutes below an hour."""
    (least, most), unit = (hours, "h") if hours[1] >= 1 else ((60 * hours[0], 60 * hours[1]), "min")
    return f"{least:.1f} to {most:.1f} {unit}"


def host_notes(plan: Plan) -> Iterator[str]:
    """The memory that an offloaded optimizer takes on each node, and what this machine has; nothing without offload.

    Too little memory is only noted and not refused, because DeepSpeed's estimate includes a reserve of half as much
    again. But when a host runs out of memory, a rank is killed in the middle of the run.
    """
    known = forecast(plan)
    if known is None or not (needs := known.memory().host):
        return
    here = host_bytes()
    short = ". That is too little, and a rank would be killed" if here < needs else ""
    yield (
        f"Estimate: {needs / GIB:.0f} GiB of host memory on each node for the offloaded optimizer, "
        f"{here / GIB:.0f} on this machine{short}."
    )


def host_bytes() -> int:
    """Memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _size(count: float) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"


def require_disk(plan: Plan, out: Path) -> None:
    """Raises Fault when the disk of OUT is too small for the run. The checkpoints in OUT count as free space."""
    known = forecast(plan)
    if known is None:
        return
    had = sum(path.stat().st_size for path in out.glob("checkpoint-*/**/*") if path.is_file())
    free = free_bytes(out) + had
    if free < known.disk:
        raise Fault(
            f"{out}: {_size(free)} free, but the run needs up to {_size(known.disk)} (checkpoints with "
            "optimizer; one more than save_total_limit while the next is written). Free space, choose another --out, "
            "or lower save_total_limit."
        )
