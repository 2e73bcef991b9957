"""An endpoint that fails over a simulated day: nothing is lost, nothing is asked again that was answered."""

import os
from collections import Counter
from pathlib import Path
from random import Random

from eval.ask.predict import predict
from eval.engines.openai.engine import OpenAiEngine, Options
from eval.run.no_answer import reason_of
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from mmafflm.records import read_jsonl
from tests.budget import BUDGET
from tests.data_files import write_data
from tests.eval.engines.openai.clock import Clock
from tests.eval.engines.openai.faulty_server import KINDS, FaultyServer, serving
from tests.eval.score.counting import Counting
from tests.eval.tiny_tests import records_of

ROWS, DAY_S, FAULTY = 1000, 86_400, 0.4
PASSING = [kind for kind in KINDS if kind != "hang"]  # a time-out takes real time; the tests have it


def endpoint(folder: Path) -> bool:
    """Print a row; whether no row is lost and none was answered twice."""
    rows = {record.prompt: record for record in records_of(benchmark()["XED"].tasks[0], ROWS)}
    data = write_data(folder / "data", {"XED": list(rows.values())})  # no prompt twice: the server counts prompts
    predict("m", data, folder / "whole", engine=Counting())
    random, clock = Random(1), Clock()
    server = FaultyServer(lambda prompt, attempt: random.choice(PASSING) if random.random() < FAULTY else None)
    os.environ |= {"OPENAI_API_KEY": "sk-made-up", "NO_PROXY": "127.0.0.1"}
    starts = 0
    with serving(server):
        os.environ["OPENAI_BASE_URL"] = server.url
        while starts < 1000:
            starts += 1
            pace = clock.pace(ROWS * 60 / DAY_S)  # so many requests a minute that a day passes
            engine = OpenAiEngine("made-up", data.path, BUDGET, Options.model_validate({"timeout_s": 3}), pace)
            try:
                predict("made-up", data, folder / "run", batch_size=8, engine=engine)
                break
            except Fault:
                continue  # too many failures in a row: the user starts it again
    times = Counter(server.answered.values())
    expected, found = _answers(folder / "whole"), _answers(folder / "run")
    given_up = [name for name, text in found.items() if reason_of(text)]
    lost = [name for name in expected if name not in given_up and found.get(name) != expected[name]]
    failed = server.faults.total() - server.faults["none"]
    ways, hours, twice = len(PASSING), clock.now_s / 3600, times.total() - times[1]
    print(f"| endpoint | {len(expected)} rows; {failed} of {server.faults.total()} requests failed in {ways} ways; "
          f"{hours:.1f} simulated hours, {starts} starts | lost {len(lost)}, answered twice {twice}, given up after "
          f"8 tries, with the reason {len(given_up)} |", flush=True)  # fmt: skip
    return not lost and times.total() == times[1] and list(found) == list(expected)


def _answers(out: Path) -> dict[str, str]:
    return {row["id"]: row["prediction"] for row in read_jsonl(out / "predictions/XED.jsonl")}
