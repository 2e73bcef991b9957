"""`mmaffben predict --ablation prompt --out RUN` writes RUN-order, RUN-after and RUN-wording: one run for each form."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.ask.predict import askable, predict
from eval.ask.variants import PROMPTS, variant
from eval.engines import Engine, make_engine
from eval.run.checkpoint import budget_for
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault


def prompt_runs(out: Path, subsets: Sequence[str]) -> dict[str, tuple[Path, list[str]]]:
    """{form: (folder of the run, subsets that have a task in this form)}; forms that no subset has are left out."""
    having = {
        name: [one for one in subsets if any(variant(task, name) for task in benchmark()[one].tasks)]
        for name in PROMPTS
    }  # fmt: skip
    return {name: (out.with_name(f"{out.name}-{name}"), found) for name, found in having.items() if found}


def predict_prompts(
    ckpt: str | Path,
    data: Dataset,
    out: Path,
    subsets: list[str] | None = None,
    *,
    engine: Engine | str = "hf",
    options: dict[str, str] | None = None,
    split: str = "test",
    **how: Any,
) -> None:
    """Call predict() with every form of the prompt, one after the other; the engine is loaded once.

    out: the folder of the run with the benchmark's own prompts, which need not exist yet. The other arguments are those
    of predict(). Raises UsageFault when no subset has another form, and whatever predict() raises.
    """
    if isinstance(engine, str):
        budget = budget_for(str(ckpt), data.budget, how.get("force", False))
        engine = make_engine(engine, str(ckpt), how.get("dtype", "auto"), data.path, budget, options or {})
    chosen = askable(engine, data, split, subsets, out) or data.subsets(split)
    runs = prompt_runs(out, chosen)
    if not runs:
        raise UsageFault(f"--ablation prompt: {', '.join(chosen)} has no other form of the prompt.")
    for name, (folder, names) in runs.items():
        predict(ckpt, data, folder, names, engine=engine, split=split, ablation=name, **how)
