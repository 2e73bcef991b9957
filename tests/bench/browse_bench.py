"""`mmaffin browse`, and `mmaffben browse` of two runs, over 115,200 made-up records: seconds to open, ms per page.

Measures from the start of the process to the first page, then random pages with 200 different filters.
"""

import http.client
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from math import ceil
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from mmafflm.benchmark.benchmark import benchmark
from tests.eval.report.report_runs import made_data, made_run

ROWS, PAGES = 115_200, 200
OPEN_S, PAGE_MS = 3.0, 200.0
ASKED = ("", "subset={subset}&", "language={language}&", "label=joy&", "id=/0001&", "run0=wrong&run1=right&",
         "any=unparsed&")  # fmt: skip
SHARE = ROWS / sum(subset.test_rows for subset in benchmark().values())


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used in all its threads."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(what: str, words: list[str]) -> None:
    """Open once, ask for many pages, print the figures."""
    draw = random.Random(what)
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", *words, "--port", "0"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    server = http.client.HTTPConnection(urlsplit(process.stdout.readline().strip()).netloc)

    def get(address: str) -> bytes:
        server.request("GET", address)
        return server.getresponse().read()

    assert b"<article" in get("/")
    opened, cpu, spent = time.perf_counter() - began, cpu_of(process.pid), []
    for _ in range(PAGES):
        subset = draw.choice([*benchmark().values()])
        language = draw.choice(subset.languages or ("en",))
        asked = draw.choice(ASKED).format(subset=subset.name, language=language)
        began = time.perf_counter()
        assert len(get(f"/?{asked}page={draw.randint(1, 200)}")) > 1000
        spent.append((time.perf_counter() - began) * 1000)
    used = (cpu_of(process.pid) - cpu) * 1000 / PAGES
    process.send_signal(signal.SIGINT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    middle, late, most = np.percentile(spent, [50, 95, 100])
    print(f"{what}: opens in {opened:.1f} s, {cpu:.1f} s of CPU (limit {OPEN_S:.0f} s); "
          f"a page takes {middle:.0f} ms, 95% under {late:.0f}, the slowest {most:.0f} (limit {PAGE_MS:.0f} ms), "
          f"{used:.0f} ms of CPU; {usage.ru_maxrss / 1e6:.2f} GB resident", flush=True)  # fmt: skip


def main() -> None:
    """Print the figures for the build alone, then with the answers of two runs."""
    with tempfile.TemporaryDirectory() as folder:
        data = made_data(Path(folder) / "data", lambda task: ceil(task.test_rows * SHARE))
        runs = [
            str(made_run(data, Path(folder) / name, skill, resamples=0)) for name, skill in (("a", 0.7), ("b", 0.3))
        ]
        rows = sum(of["rows"] for of in data.files.values())
        size = sum((data.path / name).stat().st_size for name in data.files) / 1e6
        print(f"{rows:,} records, {size:.0f} MB of JSON")
        measure("mmaffin browse", ["data_build", "browse", "--data", str(data.path)])
        measure("mmaffben browse A B", ["eval", "browse", *runs, "--data", str(data.path)])


if __name__ == "__main__":
    main()
