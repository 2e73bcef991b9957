"""`mmaffben predict` against lmms-eval's own Qwen2.5-VL model and LLaMA-Factory's do_predict: rows per second.

All have the same rows, checkpoint and dtype. lmms-eval runs in an environment and a process of its own (make
setup-harnesses). It is timed from outside with FEW and with ROWS rows, and the difference counts, so loading does not.
do_predict's time is its own, without loading; ours is timed without loading.
"""

import sys
import tempfile
import time
from pathlib import Path

from eval.ask.predict import most_tokens
from eval.export_tasks.export import export_tasks
from eval.run.answer_files import read_answers
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.standin.standin import make_standin
from tests.bench.predict_bench import PAPER_BATCH, Generic, Loaded, Timed, ours
from tests.bench.predict_bench import theirs as do_predict
from tests.budget import BUDGET
from tests.eval.export_tasks.test_harnesses import ROOT, lmms_eval
from tests.eval.tiny_tests import make_tests

SUBSET = "XED"
FEW, ROWS = 50, 450
BATCH = 16  # predict's own


def theirs(python: Path, ckpt: Path, data: Dataset, rows: int) -> Timed:
    """The answers of lmms-eval's qwen2_5_vl to the first rows, and the seconds of the whole command."""
    folder = data.path.parent / f"lmms-eval-{rows}"
    export_tasks("lmms-eval", data, folder, [SUBSET])
    start = time.perf_counter()
    _, logs = lmms_eval(
        python, folder, f"mmaffben_{SUBSET.lower()}", "--model", "qwen2_5_vl", "--force_simple", "--device", "cpu",
        "--model_args", f"pretrained={ckpt},device_map=cpu", "--batch_size", BATCH, "--limit", rows,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    return Timed({answer.id or "": answer.text for answer in read_answers(logs)}, seconds)


def main() -> None:
    """Compare on nano in float32, whose arithmetic is small: this measures the code around the model."""
    python = ROOT / ".venv-lmms-eval/bin/python"
    if not python.exists():
        print("lmms-eval is not measured: no .venv-lmms-eval (make setup-harnesses)")
        return
    with tempfile.TemporaryDirectory() as folder:
        ckpt = Path(folder) / "nano"
        make_standin("nano", ckpt)
        data = make_tests(Path(folder) / "data", {SUBSET: ROWS})
        few, whole = (theirs(python, ckpt, data, rows) for rows in (FEW, ROWS))
        pace = (ROWS - FEW) / (whole.seconds - few.seconds)
        print(f"{ROWS} rows of {SUBSET}, batch {BATCH}, nano, float32:")
        print(f"  lmms-eval, qwen2_5_vl: {pace:.2f} rows/s ({whole.seconds:.0f} s with loading)")
        engines = {
            "fast path": Loaded(str(ckpt), BUDGET, "float32"),
            "generic path": Generic(str(ckpt), BUDGET, "float32"),
        }
        for engine in engines.values():
            engine.load()
        most = most_tokens(benchmark()[SUBSET].tasks[0], engines["fast path"])
        factory = do_predict(ckpt, list(data.records(SUBSET, "test")), most, False, Path(folder))
        print(f"  do_predict, batch {PAPER_BATCH}: {ROWS / factory.seconds:.2f} rows/s")
        for path, engine in engines.items():
            us = ours(engine, data, Path(folder) / path)
            speed = ROWS / us.seconds
            same = [sum(us.answers[name].strip() == text.strip() for name, text in them.answers.items()) / ROWS
                    for them in (whole, factory)]  # fmt: skip
            print(f"  mmaffben predict, {path}: {speed:.2f} rows/s, {speed / pace:.2f} times lmms-eval (answers equal: "
                  f"{same[0]:.0%}), {speed * factory.seconds / ROWS:.2f} times do_predict ({same[1]:.0%})",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
