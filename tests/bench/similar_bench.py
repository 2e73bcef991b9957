"""`similar_lengths` on and off: examples a second and the share of real tokens, through LLaMA-Factory.

python -m tests.bench.similar_bench                      # nano on made-up texts and faces
python -m tests.bench.similar_bench nano DATA 20         # a finished build of XED, onlineshopping and FER2013; 20 steps
python -m tests.bench.similar_bench pocket DATA 4

Both settings train the same rows in the same steps, in turn: off, on, on, off. So a machine that becomes busier slows
both. The figures are the trainer's own (progress.jsonl); the first step, which includes the start, does not count.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from mmafflm.records import write_text
from mmafflm.standin.standin import make_standin
from mmafflm.train.watch.progress import read_progress
from tests.mmafflm.recipes import RECIPES

BATCHES = {"nano": (64, 16), "pocket": (16, 4)}  # of a step, and of a micro-batch
SUBSETS = {
    "pocket": ("XED", "onlineshopping"),
    "nano": ("XED", "onlineshopping", "FER2013"),
}  # what each can learn from


def run(command: str, *words: object) -> None:
    """Run one of our commands. Raises SystemExit with what it printed when it fails."""
    program = str(Path(sys.executable).with_name(command))
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])


def samples(work: Path, subsets: tuple[str, ...]) -> Path:
    """A build of made-up corpora."""
    run("mmaffin", "samples", "--out", work / "raw", "--subsets", ",".join(subsets))
    run("mmaffin", "build", "--raw", work / "raw", "--out", work / "data", "--jobs", 1)
    return work / "data"


def trained(kind: str, base: Path, data: Path, similar: bool, out: Path) -> tuple[float, float, float]:
    """Examples and seconds of the timed steps, and the share of real tokens in them."""
    batch, micro = BATCHES[kind]
    keys = {
        "extends": str(RECIPES / f"{kind}.yaml"), "global_batch": batch, "per_device_train_batch_size": micro,
        "similar_lengths": similar, "logging_steps": 1, "save_steps": 1000, "bf16": None, "use_cpu": None,
    }  # fmt: skip
    write_text(out.with_suffix(".yaml"), yaml.safe_dump({key: keys[key] for key in keys}))
    run("mmafflm", "train", out.with_suffix(".yaml"), "--data", data, "--base", base, "--out", out, "--gpus", 1)
    rows = [row for row in read_progress(out) if row["step"] > 1]
    seconds = sum(batch / row["examples_per_s"] for row in rows)
    real, padded = sum(row["tokens"] for row in rows), sum(row["tokens"] / row["real_share"] for row in rows)
    return batch * len(rows), seconds, real / padded


def compare(kind: str, data: Path, steps: int, work: Path) -> None:
    """Print both settings and their ratio, for one stand-in and the same rows of one build."""
    batch, micro = BATCHES[kind]
    rows = -(-steps * batch // len(SUBSETS[kind]))
    write_text(work / "mix.yaml", yaml.safe_dump({"seed": 1, "mix": dict.fromkeys(SUBSETS[kind], rows)}))
    run("mmaffin", "mix", "--data", data, "--mix", work / "mix.yaml", "--out", work / "mixed")
    make_standin(kind, work / kind)
    examples, seconds, share = {True: 0.0, False: 0.0}, {True: 0.0, False: 0.0}, {}
    for number, similar in enumerate((False, True, True, False)):
        some, took, share[similar] = trained(kind, work / kind, work / "mixed", similar, work / f"run{number}")
        examples[similar] += some
        seconds[similar] += took
    pace = {similar: examples[similar] / seconds[similar] for similar in examples}
    print(f"{kind} on {', '.join(SUBSETS[kind])}: micro-batches of {micro}, {micro} x {batch // micro} a step:")
    for similar, name in ((False, "as the mix comes"), (True, "similar_lengths")):
        print(
            f"  {name}: {share[similar]:.3f} of tokens real, {pace[similar]:.2f} examples/s "
            f"({examples[similar]:.0f} in {seconds[similar]:.0f} s)"
        )
    print(f"  ratio {pace[True] / pace[False]:.2f}; the tokens alone {share[True] / share[False]:.2f}", flush=True)


def main(kind: str = "nano", data: Path | None = None, steps: int = 12) -> None:
    """Compare one stand-in (nano or pocket) on a finished build, or on made-up corpora."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        compare(kind, data or samples(work, SUBSETS[kind]), steps, work)


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*given[:1], *map(Path, given[1:2]), *map(int, given[2:3]))
