"""The peak memory of each command, at several numbers of rows."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from random import Random
from typing import NamedTuple
from urllib.request import urlopen

from tests.data_files import write_data
from tests.eval.engines.openai.faulty_server import said
from tests.eval.made_runs import noisy, records, write_run
from tests.loopback import answering
from tests.mmafflm.recipes import recipe_with

SUBSET = "XED"
TRANSLATED = 50_000  # most rows to translate: apertium translates some hundred a second
WORDS = (
    "day night friend lovely terrible never always see go come home house think know want love hate afraid angry happy "
    "sad dog child mother father money work time life way world door car street city food water money war peace heart"
)
# The kernel counts what a process held before it became another program, so a large parent would hide a small command.
_LAUNCH = """
import os, signal, sys
child = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, *sys.argv[1:]])
print(child, flush=True)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


class Case(NamedTuple):
    """A command, and when Ctrl-C ends it: once `until` of what it has printed is true. None: it ends by itself."""

    name: str
    words: list[str]
    until: Callable[[str], bool] | None = None


class Answers(BaseHTTPRequestHandler):
    """A server of the OpenAI protocol that gives every question the same answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send({"data": [{"id": "made-up"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(said("1. happiness", body))

    def _send(self, whole: dict[str, object]) -> None:
        answer = json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing: a line a request would hide the table."""


def memory(rows: list[int], folder: Path) -> bool:
    """Print a row for each command and number of rows; whether every command ended well."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        os.environ |= {"OPENAI_BASE_URL": stack.enter_context(answering(Answers)), "OPENAI_API_KEY": "sk-made-up",
                       "NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "1"}  # fmt: skip
        subprocess.run([sys.executable, "-m", "mmafflm", "standin", "nano", "--out", f"{folder}/nano"], check=True)
        well = [_measured(case, number) for number in rows for case in _cases(folder, folder / str(number), number)]
        return all(well)


def _cases(folder: Path, place: Path, rows: int) -> Iterator[Case]:
    """The commands in an order in which each finds what it reads."""
    _raw(place / "raw", rows)
    data = ["--data", f"{place}/built"]
    (place / "mix.yaml").write_text(f"seed: 1\nmix:\n  {SUBSET}: {rows // 2}\n")
    mixed = ["--data", f"{place}/mixed"]
    recipe_with(place)
    yield Case("mmaffin doctor", ["data_build", "doctor", "--raw", f"{place}/raw"])
    yield Case(
        "mmaffin build", ["data_build", "build", "--raw", f"{place}/raw", "--out", f"{place}/built", "--jobs", "1"]
    )
    yield Case("mmaffin check", ["data_build", "check", *data])
    yield Case("mmaffin stats", ["data_build", "stats", *data])
    yield Case("mmaffin leaks", ["data_build", "leaks", *data])
    for form in ("llamafactory-alpaca", "sharegpt", "parquet", "webdataset"):
        yield Case(
            f"mmaffin export --form {form}", ["data_build", "export", *data, "--form", form, "--out", f"{place}/{form}"]
        )
    yield Case(
        "mmaffin import",
        ["data_build", "import", "--from", f"{place}/llamafactory-alpaca", "--out", f"{place}/imported", "--jobs", "1"],
    )
    yield Case("mmaffin publish --dry-run", ["data_build", "publish", *data, "--repo", "OWNER/NAME", "--dry-run"])
    yield Case("mmaffin mix", ["data_build", "mix", *data, "--mix", f"{place}/mix.yaml", "--out", f"{place}/mixed"])
    yield Case("mmaffin browse", ["data_build", "browse", *data, "--port", "0"], _shows_a_page)
    yield Case("mmafflm plan", ["mmafflm", "plan", f"{place}/recipe.yaml", *mixed, "--base", f"{folder}/nano"])
    yield Case(
        "mmafflm train, 20 steps",
        ["mmafflm", "train", f"{place}/recipe.yaml", *mixed, "--base", f"{folder}/nano", "--out", f"{place}/trained"],
        lambda _: _lines(place / "trained/progress.jsonl") >= 4,
    )
    yield Case(
        f"mmaffin translate --limit {TRANSLATED}",
        ["data_build", "translate", *data, "--to", "es", "--engine", "apertium", "--limit", str(TRANSLATED)],
    )
    yield from _evaluations(folder, place, rows)


def _evaluations(folder: Path, place: Path, rows: int) -> Iterator[Case]:
    tests = write_data(place / "tests", {SUBSET: records(SUBSET, rows)})
    of = ["--data", str(tests.path)]
    run, other = (str(write_run(place / name, tests, [SUBSET], noisy(share)))
                  for name, share in (("run", 0.3), ("other", 0.4)))  # fmt: skip
    yield Case(
        "mmaffben predict, 500 answers",
        ["eval", "predict", "--ckpt", f"{folder}/nano", *of, "--out", f"{place}/asked"],
        lambda _: sum(map(_lines, (place / "asked").rglob("*.jsonl"))) >= 500,
    )
    yield Case(
        "mmaffben predict --engine openai",
        ["eval", "predict", "--ckpt", "made-up", *of, "--engine", "openai", "--out", f"{place}/served"],
    )
    yield Case("mmaffben score", ["eval", "score", run, *of])
    yield Case("mmaffben score, another", ["eval", "score", other, *of])
    yield Case("mmaffben diagnose", ["eval", "diagnose", run, *of])
    yield Case("mmaffben compare", ["eval", "compare", run, other, *of])
    yield Case("mmaffben report", ["eval", "report", run, *of, "--out", f"{place}/report.html"])
    yield Case("mmaffben leaderboard", ["eval", "leaderboard", run, other, *of, "--out", f"{place}/board"])
    yield Case("mmaffben browse", ["eval", "browse", run, *of, "--port", "0"], _shows_a_page)
    for harness in ("lm-eval", "inspect"):
        yield Case(
            f"mmaffben export-tasks --for {harness}",
            ["eval", "export-tasks", "--for", harness, *of, "--out", f"{place}/{harness}"],
        )


def _measured(case: Case, rows: int) -> bool:
    """Run a command. Its peak is that of the largest of its processes, as the kernel counts resident memory."""
    began = time.monotonic()
    with (
        subprocess.Popen([sys.executable, "-c", _LAUNCH, "-m", *case.words], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}) as process,
    ):  # fmt: skip
        assert process.stdout
        child, printed = int(process.stdout.readline()), ""
        if case.until:
            if case.until is _shows_a_page:
                printed = process.stdout.readline()
            while process.poll() is None and not case.until(printed):
                time.sleep(0.2)
            os.kill(child, signal.SIGINT)
        peak, code = map(int, process.stdout.read().split()[-2:])
    well = code in ((0, 130) if case.until else (0,))
    print(f"| {case.name} | {rows} rows | {peak / 1024:.0f} MiB, {time.monotonic() - began:.0f} s |"
          + ("" if well else f" exit code {code}"), flush=True)  # fmt: skip
    return well


def _shows_a_page(printed: str) -> bool:
    """Ask the server whose address was printed for its first page, and for a search."""
    for path in ("", "?text=love&shuffle=3"):
        with urlopen(printed.strip() + path) as page:
            page.read()
    return True


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.is_file() else 0


def _raw(root: Path, rows: int) -> None:
    """A made-up file of XED, in English; texts that differ enough not to count as copies of one another."""
    file = root / "XED/Projections/en-projections.tsv"
    file.parent.mkdir(parents=True)
    draw, words = Random(1), WORDS.split()
    with file.open("w", encoding="utf-8") as out:
        for number in range(rows):
            out.write(f"{' '.join(draw.choices(words, k=draw.randint(6, 14)))} .\t{number % 8 + 1}\n")
