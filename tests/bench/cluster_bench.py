"""`mmaffben predict --jobs 1` on a Ray against none: the time to ask the same rows with the same nano, in turn.

Each has loaded its engine before, so starting Ray is timed apart. Both have one process that computes, with one thread.
`python -m tests.bench.cluster_bench 100 2` asks 2 times 100 rows.
"""

import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from eval.ask.predict import predict
from eval.engines.cluster import ClusterEngine, EngineWorker
from eval.engines.hf.engine import HfEngine
from mmafflm.cluster.connect import LOCAL
from mmafflm.dataset import Dataset
from mmafflm.standin.standin import make_standin
from tests.budget import BUDGET
from tests.eval.score.counting import content
from tests.eval.tiny_tests import make_tests

ROWS, PARTS = 500, 4  # 2,000 rows


class LoadedHere(HfEngine):
    """Loaded once, outside the measured time."""

    def load(self) -> None:
        """Do nothing the second time."""
        if self.path is None:
            super().load()


class LoadedThere(ClusterEngine):
    """Likewise."""

    def load(self) -> None:
        """Do nothing the second time."""
        if self.facts is None:
            super().load()


def worker(ckpt: Path) -> EngineWorker:
    """Make the engine in a worker."""
    return EngineWorker(HfEngine(str(ckpt), BUDGET))


def asked(engine: HfEngine | ClusterEngine, ckpt: Path, data: Dataset, out: Path) -> float:
    """Seconds to ask all rows."""
    start = time.perf_counter()
    predict(ckpt, data, out, engine=engine)
    return time.perf_counter() - start


def main(rows: int = ROWS, parts: int = PARTS) -> None:
    """Print both times, their ratio and the time to start."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ckpt = work / "nano"
        make_standin("nano", ckpt)
        here = LoadedHere(str(ckpt), BUDGET)
        here.load()
        with LoadedThere(HfEngine(str(ckpt), BUDGET), partial(worker, ckpt), LOCAL, 1) as there:
            start = time.perf_counter()
            there.load()
            started = time.perf_counter() - start
            none = one = 0.0
            for part in range(parts):
                data = make_tests(work / f"data{part}", {"XED": rows}, seed=part)
                outs = [work / f"none{part}", work / f"one{part}"]
                if part % 2:
                    one += asked(there, ckpt, data, outs[1])
                none += asked(here, ckpt, data, outs[0])
                if part % 2 == 0:
                    one += asked(there, ckpt, data, outs[1])
                assert content(outs[0]) == content(outs[1])
    print(f"{rows * parts} rows of XED with nano: {none:.1f} s in this process, {one:.1f} s in one worker, "
          f"ratio {one / none:.3f}; Ray started and the worker loaded nano in {started:.1f} s")  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
