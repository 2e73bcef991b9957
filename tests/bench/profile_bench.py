"""What bounds a stand-in's training on a CPU: the share of each operation in steps that LLaMA-Factory itself runs.

python -m tests.bench.profile_bench                # nano on made-up texts and faces
python -m tests.bench.profile_bench nano DATA      # on the mix of a finished build
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile

from mmafflm.dataset import Dataset
from mmafflm.standin.standin import make_standin
from mmafflm.train.plan.plan import plan
from tests.bench.similar_bench import SUBSETS, samples
from tests.mmafflm.recipes import RECIPES

STEPS, SHOWN = 12, 8


def main(kind: str = "nano", data: Path | None = None) -> None:
    """Print the operations that take the most time, and what they share, in STEPS steps of the stand-in's recipe."""
    from llamafactory.train.tuner import run_exp

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        base = work / kind
        make_standin(kind, base)
        opened = Dataset.open(data or samples(work, SUBSETS["nano"]))
        recipe = RECIPES / ("fer2013.yaml" if kind == "micro" else f"{kind}.yaml")
        planned = plan(recipe, opened, 1, base=str(base), out=work / "run")
        config: dict[str, Any] = planned.config | {"max_steps": STEPS, "save_strategy": "no", "report_to": "none"}
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
            run_exp(config)
        rows = seen.key_averages(group_by_input_shape=True)
        whole = sum(row.self_cpu_time_total for row in rows)
        print(
            f"{kind}: {STEPS} steps of {planned.global_batch}, {whole / 1e6 / STEPS:.2f} s a step in torch's operations"
        )
        for row in sorted(rows, key=lambda row: -row.self_cpu_time_total)[:SHOWN]:
            shapes = ", ".join("x".join(map(str, shape)) for shape in row.input_shapes[:2] if shape)
            print(f"  {row.self_cpu_time_total / whole:5.1%} {row.key} {shapes}")
        totals: dict[str, float] = {}
        for row in rows:
            totals[row.key] = totals.get(row.key, 0) + row.self_cpu_time_total / whole
        best = sorted(totals.items(), key=lambda item: -item[1])[:SHOWN]
        print("  all shapes: " + ", ".join(f"{name} {share:.0%}" for name, share in best), flush=True)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*given[:1], *map(Path, given[1:2]))
