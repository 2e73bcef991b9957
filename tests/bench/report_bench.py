"""Diagnose and report two made-up runs over a MMAFFBen of the published sizes (95,342 rows): seconds and megabytes.

python -m tests.bench.report_bench [PATH]          # keeps the page in PATH
"""

import sys
import tempfile
import time
from pathlib import Path

from eval.diagnosis.diagnose import diagnose_run
from eval.report.report import report
from tests.eval.report.report_runs import made_data, made_run, published

LIMIT_S, LIMIT_MB = 30.0, 5.0


def main(folder: Path | None = None) -> int:
    """Print the figures; returns 1 when the page exceeds the limits on size or time."""
    if folder is None:
        with tempfile.TemporaryDirectory() as made:
            return main(Path(made))
    data = made_data(folder / "data", published)
    runs = [made_run(data, folder / name, skill, resamples=100) for name, skill in (("a", 0.7), ("b", 0.3))]
    start = time.perf_counter()
    for run in runs:
        diagnose_run(run, data)
    diagnosed = time.perf_counter()
    page, *beside = report(runs, data, folder / "report.html")
    seconds, size = time.perf_counter() - diagnosed, page.stat().st_size / 1e6
    rows = sum(data.manifest["subsets"][name]["test"]["rows"] for name in data.subsets("test"))
    print(f"diagnose, {rows} rows, 1000 resamples: {(diagnosed - start) / len(runs):.1f} s a run")
    others = sum(path.stat().st_size for path in beside) / 1e6
    print(f"report of {len(runs)} such runs: {seconds:.1f} s (limit {LIMIT_S:.0f} s)")
    print(f"page: {size:.2f} MB (limit {LIMIT_MB:.0f} MB), files beside it {others:.2f} MB")
    return int(seconds > LIMIT_S or size > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
