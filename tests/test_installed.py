"""The wheel, installed into a fresh environment outside the repository: the commands, recipes by name, the interface.

The environment finds the dependencies of the tests' own environment, without what the core tier lacks.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.paths import ROOT

PARTS = ("mmafflm", "data_build", "eval", "train_configs", "pyproject.toml", "README.md", "LICENSE")
NOT_CORE = ("torch", "transformers", "datasets", "llamafactory", "deepspeed", "peft", "matplotlib", "pyarrow")
ANSWER = """
import json, sys
from pathlib import Path
import mmafflm
from eval import load_records, load_run, score
from mmafflm.records import write_jsonl

data, run = Path(sys.argv[1]), Path(sys.argv[2])
records = load_records(data, "onlineshopping")
write_jsonl(run / "predictions/onlineshopping.jsonl", [{"id": one.id, "prediction": one.answer} for one in records])
hash = json.loads((data / "manifest.json").read_text())["data_hash"]
(run / "run.json").write_text(json.dumps({"data_hash": hash, "subsets": {"onlineshopping": {}}}))
assert load_run(run).answers["onlineshopping"] == {one.id: one.answer for one in records}
print(mmafflm.__version__, mmafflm.__file__, score(run, data)["subsets"]["onlineshopping"]["metrics"]["macro_f1"])
"""
Typed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Typed:
    """Runs a program of the fresh environment, in an empty folder."""
    root = tmp_path_factory.mktemp("installed")
    (root / "source").mkdir()
    for source in (ROOT / part for part in PARTS):
        if source.is_dir():
            shutil.copytree(source, root / "source" / source.name, symlinks=True)
        else:
            shutil.copy(source, root / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ("wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir", "-w", root / "wheels", root / "source")
    subprocess.run([*pip, *map(str, build)], check=True, capture_output=True)
    (wheel,) = (root / "wheels").glob("mmafflm-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root / "fresh")], check=True)
    python = root / "fresh/bin/python"
    subprocess.run([*pip, "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = (root / "fresh/lib").glob("python*/site-packages")
    for name in NOT_CORE:
        (packages / f"{name}.py").write_text(f"raise ImportError('{name} is not in the core tier')\n")
    found = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(found) + "\n")
    (root / "empty").mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(program: str, *words: object) -> "subprocess.CompletedProcess[str]":
        command = [str(root / "fresh/bin" / program), *map(str, words)]
        return subprocess.run(command, cwd=root / "empty", env=env, check=False, capture_output=True, text=True)

    return run


@pytest.mark.slow
def test_the_pipeline_runs_where_only_the_wheel_is(typed: Typed, tmp_path: Path) -> None:
    raw, data, run = tmp_path / "raw", tmp_path / "data", tmp_path / "run"
    assert typed("mmaffin", "samples", "--out", raw, "--subsets", "onlineshopping").returncode == 0
    built = typed("mmaffin", "build", "--raw", raw, "--out", data, "--subsets", "onlineshopping", "--jobs", 1)
    assert built.returncode == 0, built.stderr

    large = typed("mmafflm", "plan", "mmafflm-7b", "--data", data, "--gpus", 8)
    assert (
        large.returncode == 1 and "less than one global batch of 256" in large.stderr
    )  # found, and the sample is small
    (tmp_path / "small.yaml").write_text(f"extends: {_recipes(typed)}/mmafflm-7b.yaml\nglobal_batch: 8\n")
    planned = typed("mmafflm", "plan", tmp_path / "small.yaml", "--data", data, "--gpus", 8)
    assert planned.returncode == 0, planned.stderr
    config = yaml.safe_load(planned.stdout)
    assert config["finetuning_type"] == "full" and Path(config["deepspeed"]).is_file()
    unknown = typed("mmafflm", "plan", "mmafflm-8b", "--data", data)
    assert unknown.returncode == 2 and ", mmafflm-3b-lora, " in unknown.stderr

    (run / "predictions").mkdir(parents=True)
    version, file, macro_f1 = typed("python", "-c", ANSWER, data, run).stdout.split()
    assert "fresh" in file and version[0].isdigit() and macro_f1 == "1.0"
    scored = typed("mmaffben", "score", run, "--data", data)
    assert scored.returncode == 0 and "up to date" in scored.stderr, scored.stderr
    page = tmp_path / "report.html"
    reported = typed("mmaffben", "report", run, "--data", data, "--out", page)
    assert reported.returncode == 0 and "onlineshopping" in page.read_text(encoding="utf-8"), reported.stderr
    assert json.loads((run / "scores.strict.json").read_text())["mode"] == "strict"


def _recipes(typed: Typed) -> str:
    done = typed("python", "-c", "from mmafflm.train.plan.shipped import RECIPES; print(RECIPES)")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
