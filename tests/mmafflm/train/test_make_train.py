"""`make train-*` passes its variables on to `mmafflm train`."""

import os
import shlex
import subprocess

import pytest

from tests.paths import ROOT


def printed(*words: str) -> list[str]:
    """The command that make would run, as a list of words."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--dry-run", "-o", ".venv/.full", "BIN=bin", *words]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return shlex.split(done.stdout)


@pytest.mark.parametrize("kind", ["3b", "7b", "3b-lora", "7b-lora"])
def test_make_train(kind: str) -> None:
    recipe = f"train_configs/mmafflm-{kind}.yaml"
    assert (ROOT / recipe).exists()
    start = ["bin/mmafflm", "train", recipe, "--data"]
    assert printed(f"train-{kind}") == [*start, "data", "--out", f"runs/train-{kind}"]
    given = ["DATA=d", "OUT=o", "GPUS=8", "BASE=models/b", "NODES=4", "RANK=3", "MASTER=gpu0:29500", "RESUME=1"]
    assert printed(f"train-{kind}", *given) == [
        *(*start, "d", "--out", "o", "--gpus", "8", "--nodes", "4", "--node-rank", "3", "--master", "gpu0:29500"),
        *("--base", "models/b", "--resume"),
    ]


def test_names_with_spaces_and_other_letters_reach_the_command_whole() -> None:
    given = ["DATA=my data/é 数据", "BASE=it's a base", "OUT=out $$HOME"]
    assert printed("train-7b", *given)[3:] == [
        *("--data", "my data/é 数据", "--out", "out $HOME", "--base", "it's a base")
    ]
