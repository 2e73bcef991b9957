"""The three commands as a user types them."""

import os
import subprocess
import sys
from functools import partial


def _typed(module: str, *words: object, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run `python -m MODULE WORDS` to its end, with `env` added to this process's environment; output as text."""
    command = [sys.executable, "-m", module, *map(str, words)]
    env = {**os.environ, "COLUMNS": "200", "HF_HUB_OFFLINE": "1", **env}  # 200: sentences are not wrapped
    return subprocess.run(command, check=False, capture_output=True, text=True, env=env)


mmaffin = partial(_typed, "data_build")
mmafflm = partial(_typed, "mmafflm")
mmaffben = partial(_typed, "eval")
