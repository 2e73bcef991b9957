"""Serve a model with LLaMA-Factory over the OpenAI protocol on loopback, for as long as it is needed."""

import http.client
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmafflm.errors import Fault
from mmafflm.families.find import likely_family
from mmafflm.files.writing import make_folder
from mmafflm.hub import folder_of
from mmafflm.media.budget import Budget
from mmafflm.terminal.command import say
from mmafflm.train.launch.launch import failure
from mmafflm.train.launch.processes import stop_group

HOST = "127.0.0.1"
LOG = "serve.log"
READY_S = 600  # seconds that loading may take: 16 GB from a slow disk
POLL_S = 0.5


@contextmanager
def served(base: str, budget: Budget, out: Path) -> Iterator[dict[str, str]]:
    """`with served(base, budget, out) as env`: serve a model. The variables in env point `--engine openai` to it.

    The server's log is OUT/serve.log. Raises Fault when LLaMA-Factory is not installed, the weights do not match the
    config, or the server ends or does not answer within READY_S seconds.
    """
    cli = Path(sys.executable).parent / "llamafactory-cli"
    if not cli.exists():
        raise Fault(f"{cli}: not found. Serving needs LLaMA-Factory: make setup")
    port = _free_port()
    if folder := folder_of(base):
        from mmafflm.weights import check, kind_of  # torch takes seconds to import

        check(kind_of(folder), folder)
    limits = [word for key, value in budget.to_json().items() for word in (f"--{key}", str(value))]
    family = likely_family(base)
    limits += [word for key, value in family.keys.items() for word in (f"--{key}", str(value))]
    words = [str(cli), "api", "--model_name_or_path", base, "--template", family.template, *limits]
    words += ["--trust_remote_code", "false"]
    env = os.environ | {"API_HOST": HOST, "API_PORT": str(port)}
    if Path(base).is_dir():
        env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    make_folder(out)
    with (out / LOG).open("ab") as log:
        log.write(f"\n$ {shlex.join(words)}\n".encode())
        log.flush()
        say(f"\n$ API_HOST={HOST} API_PORT={port} llamafactory-cli {shlex.join(words[1:])}")
        process = subprocess.Popen(
            words, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        _wait(process, port, out / LOG)
        yield {
            "OPENAI_BASE_URL": f"http://{HOST}:{port}/v1",
            "OPENAI_API_KEY": os.environ.get("OPENAI_API_KEY", "none"),
        }
    finally:
        stop_group(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait until the server lists its models. Raises Fault when it ends, or does not do so within READY_S seconds."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise failure(log, process.returncode, "api")
        try:
            asked = http.client.HTTPConnection(HOST, port, timeout=POLL_S * 10)
            asked.request("GET", "/v1/models")
            if asked.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(POLL_S)
    raise Fault(f"the server did not answer in {READY_S} s. Its log: {log}")
