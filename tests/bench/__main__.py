"""`make bench`: measure every figure that README and docs quote, in one run on this machine."""

import platform

from tests.bench import (
    browse_bench,
    build_bench,
    cluster_bench,
    harness_bench,
    leaderboard_bench,
    leakage_bench,
    media_bench,
    predict_bench,
    readout_bench,
    report_bench,
    score_bench,
    similar_bench,
)

print(f"{platform.platform()}, Python {platform.python_version()}", flush=True)
for bench in (
    build_bench,
    browse_bench,
    leakage_bench,
    media_bench,
    score_bench,
    report_bench,
    leaderboard_bench,
    predict_bench,
    cluster_bench,
    harness_bench,
    readout_bench,
    similar_bench,
):
    print(f"\n{bench.__name__}: {(bench.__doc__ or '').strip().splitlines()[0]}", flush=True)
    bench.main()
