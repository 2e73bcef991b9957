"""The three commands without the seconds that torch takes to import.

For tests of what commands do together: a page of the documents, `make eval`, an experiment. `bin` has programs of
their names. Each sends its words, folder, environment and streams to one process that has imported everything, and
which forks to become the command. (A fork of the test process itself would not do: polars hangs in a fork of a process
that has used it.) tests/test_installed.py and all tests that use `python -m` start the commands as users do.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, Self

from mmafflm.orphans import die_with_parent
from tests.forks import Forks, Orders
from tests.paths import ROOT

MODULES = (
    "data_build.cli",
    "eval.cli",
    "eval.engines.hf.engine",
    "mmafflm.cli",
    "mmafflm.standin.standin",
    "mmafflm.train.run",
    "mmafflm.weights",
)
PROGRAMS = {"mmaffin": "data_build", "mmafflm": "mmafflm", "mmaffben": "eval"}
PROGRAM = """#!{python} -SI
import json, os, socket, sys
order = {{"words": [{name!r}, *sys.argv[1:]], "folder": os.getcwd(), "env": dict(os.environ)}}
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    socket.send_fds(asked, [b" "], [0, 1, 2])
    asked.sendall(json.dumps(order).encode() + b"\\n")
    sys.exit(int(asked.makefile().read() or 1))
"""
PYTHON = '#!/bin/sh\n{cases}\nexec {python} "$@"\n'
CASE = '[ "$1 $2" = "-m {package}" ] && shift 2 && exec {bin}/{name} "$@"'


class Warm:
    """A folder `bin` with the commands. `with` ends the process behind it."""

    def __init__(self, folder: Path, forks: Forks) -> None:
        """forks: trainings take their ranks from it, without llamafactory-cli and torchrun."""
        self.bin = folder / "bin"
        self.bin.mkdir()
        real = Path(sys.executable)
        texts = {name: PROGRAM.format(python=real, name=name, address=f"{folder}/socket") for name in PROGRAMS}
        cases = (CASE.format(package=package, bin=self.bin, name=name) for name, package in PROGRAMS.items())
        texts["python"] = PYTHON.format(cases="\n".join(cases), python=real)
        for name, text in texts.items():
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)
        pipes = forks.orders.fileno(), forks.answers.fileno()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/socket")
            listener.listen()
            words = [self.bin, listener.fileno(), forks.process, *pipes, forks.log]
            command = [str(real), "-m", "tests.warm", *map(str, words)]
            self.process = subprocess.Popen(command, cwd=ROOT, pass_fds=(listener.fileno(), *pipes))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


class Server:
    """The process behind Warm."""

    def __init__(self, bin: Path, ranks: Orders) -> None:
        self.bin, self.ranks = bin, ranks

    def serve(self, listener: socket.socket) -> None:
        """Answer each connection in a fork."""
        die_with_parent(os.getppid())
        gc.disable()
        for module in MODULES:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()  # as in tests/forks.py
        gc.enable()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those forks
        server = os.getpid()
        while True:
            asked, _ = listener.accept()
            if os.fork() == 0:
                die_with_parent(server)
                listener.close()
                os._exit(self._answer(asked))
            asked.close()

    def _answer(self, asked: socket.socket) -> int:
        """Run one command, and stop it when the program that asked for it is gone."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _, streams, _, _ = socket.recv_fds(asked, 1, 3)
        order = json.loads(asked.makefile().readline())
        own = os.getpid()
        child = os.fork()
        if child == 0:
            die_with_parent(own)
            asked.close()
            os._exit(self._become(order, streams))
        for stream in streams:
            os.close(stream)
        ended = os.pidfd_open(child)
        if ended not in select.select([ended, asked.fileno()], [], [])[0]:
            os.kill(child, signal.SIGTERM)
        asked.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
        return 0

    def _become(self, order: dict[str, Any], streams: list[int]) -> int:
        """Be the command; returns its exit code."""
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, "w" if number else "r") for number in range(3))
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["folder"])
        sys.argv, sys.executable = order["words"], str(self.bin / "python")
        code: Any = 0
        try:
            sys.modules["mmafflm.train.run"].run = self.ranks.train  # type: ignore[attr-defined]
            sys.modules[PROGRAMS[sys.argv[0]] + ".cli"].main()
        except SystemExit as stop:
            code = stop.code
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    place, listening, process, orders, answers, log = sys.argv[1:]
    forked = Orders(int(process), os.fdopen(int(orders), "w"), os.fdopen(int(answers)), Path(log))
    Server(Path(place), forked).serve(socket.socket(fileno=int(listening)))
