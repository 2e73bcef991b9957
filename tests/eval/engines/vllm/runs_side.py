"""Run by VLLM_PYTHON: several runs of predict in one process, because to import vLLM takes most of its start.

    python -m tests.eval.engines.vllm.runs_side RUNS

RUNS is a file with [[CKPT, DATA, OUT, [SUBSET, ...], LIMIT], ...]. Prints, for each, null or the message of its Fault,
as JSON on the last line of standard output.
"""

import json
import sys
from pathlib import Path

from eval.ask.predict import predict
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault

OPTIONS = {"kv_cache_memory_bytes": str(1 << 27)}


def run(ckpt: str, data: str, out: str, subsets: list[str], limit: int) -> str | None:
    """The message of the run's Fault."""
    try:
        predict(ckpt, Dataset.open(Path(data)), Path(out), subsets, limit, engine="vllm", options=OPTIONS)
    except Fault as fault:
        return str(fault)
    return None


if __name__ == "__main__":
    print(json.dumps([run(*row) for row in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))]))
