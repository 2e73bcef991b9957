"""A leaderboard of 20 made-up runs over a MMAFFBen of the published sizes (95,342 rows): seconds and megabytes.

python -m tests.bench.leaderboard_bench [FOLDER]          # keeps the runs and the page in FOLDER
"""

import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from eval.leaderboard.leaderboard import leaderboard
from mmafflm.dataset import Dataset
from tests.eval.leaderboard.board_runs import ACCEPTS, board_run
from tests.eval.report.report_runs import made_data, published

RUNS, LIMIT_S, LIMIT_MB = 20, 30.0, 3.0


def main(folder: Path | None = None) -> int:
    """Print the figures; returns 1 when the page exceeds the limits on size or time."""
    if folder is None:
        with tempfile.TemporaryDirectory() as made:
            return main(Path(made))
    if not (folder / "data" / "manifest.json").exists():
        made_data(folder / "data", published)
    data = Dataset.open(folder / "data")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        runs = list(pool.map(_made, [folder] * RUNS, range(RUNS)))
    start, busy = time.perf_counter(), time.process_time()
    page, *beside = leaderboard(runs, data, folder / "board")
    seconds, busy, size = time.perf_counter() - start, time.process_time() - busy, page.stat().st_size / 1e6
    rows = sum(data.manifest["subsets"][name]["test"]["rows"] for name in data.subsets("test"))
    print(f"leaderboard of {RUNS} runs, {rows} rows: {seconds:.1f} s, {busy:.1f} s of CPU (limit {LIMIT_S:.0f} s)")
    others = sum(path.stat().st_size for path in beside) / 1e6
    print(f"page: {size:.2f} MB (limit {LIMIT_MB:.0f} MB), files beside it {others:.2f} MB")
    return int(seconds > LIMIT_S or size > LIMIT_MB)


def _made(folder: Path, at: int) -> Path:
    run = folder / f"model-{at:02d}"
    if not (run / "scores.paper.json").exists():
        accepts = ACCEPTS[0 if at < 5 else 1 if at < 8 else 2]
        board_run(Dataset.open(folder / "data"), run, 0.1 + 0.04 * at, accepts, resamples=20)
    return run


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
