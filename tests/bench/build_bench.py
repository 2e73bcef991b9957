"""Build a made-up MMS of six million rows with `mmaffin build`: rows per second, resident memory, linearity in rows."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from mmafflm.benchmark.benchmark import benchmark

ROWS = (1_500_000, 6_000_000)
CHUNK = 500_000
PRIMES = (
    7919,
    104_729,
    1_299_709,
    15_485_863,
    32_452_843,
    49_979_687,
    67_867_967,
    86_028_121,
    104_395_301,
    122_949_823,
)


def write_mms(folder: Path, rows: int) -> None:
    """Write the built form of the hub: Parquet shards with text, label 0/1/2 and language, about 90 characters a text.

    The words are drawn anew for each text: texts from one template would all be copies of test rows.
    """
    languages = pl.Series(benchmark()["MMS"].languages)
    words = pl.Series([f"{chr(97 + word % 26)}{word * 7919 % 99991:x}" for word in range(20_000)])
    folder.mkdir(parents=True)
    for start in range(0, rows, CHUNK):
        number = pl.int_range(start, min(start + CHUNK, rows), eager=True)
        drawn = [words.gather((number * prime + (number // 7) % 4001) % len(words)) for prime in PRIMES]
        frame = pl.DataFrame({"_id": number.cast(pl.Int32)}).with_columns(
            text=pl.concat_str(
                pl.lit("Review"), *drawn, number.cast(pl.String), separator=" "
            ),
            label=(number * 7919 // 13 % 3).cast(pl.Int64),
            language=languages.gather(number * 31 // 17 % len(languages)),
        )  # fmt: skip
        frame.write_parquet(folder / f"train-{start // CHUNK:05}.parquet", row_group_size=50_000)


def measure(rows: int, scratch: Path) -> tuple[float, float]:
    """Seconds and peak resident GB (largest process) of one build."""
    write_mms(scratch / "raw" / "mms", rows)
    command = [sys.executable, "-m", "data_build", "build", "--raw", str(scratch / "raw"), "--out",
               str(scratch / "data"), "--subsets", "MMS"]  # fmt: skip
    began = time.perf_counter()
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"the build failed with {child.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1e6


def main() -> None:
    """Print the figures of both sizes and their ratio."""
    seconds = {}
    for rows in ROWS:
        with tempfile.TemporaryDirectory() as scratch:
            seconds[rows], memory = measure(rows, Path(scratch))
        print(f"MMS {rows:,} rows: {rows / seconds[rows]:,.0f} rows/s, {memory:.2f} GB resident", flush=True)
    small, large = ROWS
    print(f"time for {large / small:.0f} times the rows: {seconds[large] / seconds[small]:.2f} times", flush=True)


if __name__ == "__main__":
    main()
