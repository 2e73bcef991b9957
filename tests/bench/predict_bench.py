"""`mmaffben predict` against LLaMA-Factory's do_predict: rows per second on the same rows, checkpoint and machine.

Both run in turn, with the same dtype and limit on the answer, on two halves of the rows each. LLaMA-Factory's time is
its own predict_runtime (without loading and tokenizing); ours includes tokenizing and writing, but not loading.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
import yaml

from eval.ask.predict import most_tokens, predict
from eval.engines.hf.engine import HfEngine
from eval.engines.hf.generic import GenericPath
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.records import Record, read_jsonl, write_jsonl, write_text
from mmafflm.standin.standin import make_standin
from tests.budget import BUDGET
from tests.eval.tiny_tests import make_tests

SUBSET = "XED"
ROWS = 32  # per half
HALVES = 2
PAPER_BATCH = 8


class Timed(NamedTuple):
    """Answers by record id, and the seconds they took."""

    answers: dict[str, str]
    seconds: float


def theirs(ckpt: Path, records: list[Record], most: int, bf16: bool, work: Path) -> Timed:
    """llamafactory-cli train with do_predict, at the paper's batch size."""
    write_jsonl(work / "rows.jsonl", ({"messages": record.messages} for record in records))
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages"}
    info = {"rows": {"file_name": "rows.jsonl", "formatting": "sharegpt", "columns": columns, "tags": tags}}
    write_text(work / "dataset_info.json", json.dumps(info))
    config = {
        "stage": "sft", "do_predict": True, "predict_with_generate": True, "finetuning_type": "full",
        "model_name_or_path": str(ckpt), "template": "qwen2_vl", "dataset_dir": str(work), "eval_dataset": "rows",
        "cutoff_len": 4096, "output_dir": str(work / "out"), "per_device_eval_batch_size": PAPER_BATCH,
        "max_new_tokens": most, "do_sample": False, "bf16": bf16, "report_to": "none", "use_cpu": True,
    }  # fmt: skip
    write_text(work / "predict.yaml", yaml.safe_dump(config))
    command = [str(Path(sys.executable).with_name("llamafactory-cli")), "train", str(work / "predict.yaml")]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    rows = list(read_jsonl(work / "out/generated_predictions.jsonl"))
    result = json.loads((work / "out/predict_results.json").read_text())
    pairs = zip(records, rows, strict=True)
    return Timed({record.id: row["predict"] for record, row in pairs}, result["predict_runtime"])


class Loaded(HfEngine):
    """An engine that is loaded once, outside the measured time."""

    def load(self) -> None:
        """Do nothing the second time."""
        if self.path is None:
            super().load()


class Generic(Loaded):
    """The same engine, on the path that every other architecture takes."""

    def load(self) -> None:
        """Do nothing the second time."""
        if self.path is None:
            self.path = GenericPath(self.checkpoint, self.dtype, self.root, self.budget)


def ours(engine: HfEngine, data: Dataset, out: Path) -> Timed:
    """Our predict, called as the command calls it."""
    start = time.perf_counter()
    predict(engine.checkpoint.model, data, out, engine=engine)
    seconds = time.perf_counter() - start
    return Timed({row["id"]: row["prediction"] for row in read_jsonl(out / f"predictions/{SUBSET}.jsonl")}, seconds)


def compare(ckpt: Path, dtype: str, work: Path) -> None:
    """Print the speeds in one dtype, the ratios and the shares of identical answers."""
    engines = {"fast path": Loaded(str(ckpt), BUDGET, dtype), "generic path": Generic(str(ckpt), BUDGET, dtype)}
    for engine in engines.values():
        engine.load()
    most = most_tokens(benchmark()[SUBSET].tasks[0], engines["fast path"])
    seconds = dict.fromkeys(["do_predict", *engines], 0.0)
    same = dict.fromkeys(engines, 0)
    for half in range(HALVES):
        folder = work / dtype / str(half)
        data = make_tests(folder / "data", {SUBSET: ROWS}, seed=half)
        records = list(data.records(SUBSET, "test"))
        them = theirs(ckpt, records, most, dtype == "bfloat16", folder)
        seconds["do_predict"] += them.seconds
        for path, engine in engines.items():
            us = ours(engine, data, folder / path)
            seconds[path] += us.seconds
            same[path] += sum(us.answers[name].strip() == text.strip() for name, text in them.answers.items())
    rows = ROWS * HALVES
    print(f"{torch.get_num_threads()} threads, {rows} rows of {SUBSET}, at most {most} tokens an answer, {dtype}:")
    print(f"  do_predict (batch {PAPER_BATCH}): {rows / seconds['do_predict']:.2f} rows/s")
    for path in engines:
        ratio = seconds["do_predict"] / seconds[path]
        print(
            f"  mmaffben predict, {path}: {rows / seconds[path]:.2f} rows/s, ratio {ratio:.2f}, "
            f"identical answers {same[path] / rows:.0%}",
            flush=True,
        )


def main(ckpt: Path | None = None) -> None:
    """Compare on pocket, untrained: in float32, and in bfloat16, where rounding decides between close answers."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if ckpt is None:
            ckpt = work / "pocket"
            make_standin("pocket", ckpt)
        for dtype in ("float32", "bfloat16"):
            compare(ckpt, dtype, work)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
