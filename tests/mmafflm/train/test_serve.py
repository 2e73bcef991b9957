"""A served model is ready before the first request and gone afterwards; if it cannot be loaded, there is a message."""

import json
import stat
import sys
import urllib.request
from pathlib import Path

import pytest

from mmafflm.errors import Fault
from mmafflm.train.launch.processes import group_alive
from mmafflm.train.serve import served
from tests.budget import BUDGET

SERVER = f"""#!{sys.executable}
import http.server, json, os, sys

if "broken" in sys.argv:
    sys.exit("ValueError: no weights in broken")

class Models(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({{"argv": sys.argv[1:], "group": os.getpgrp()}}).encode())

http.server.HTTPServer((os.environ["API_HOST"], int(os.environ["API_PORT"])), Models).serve_forever()
"""


@pytest.fixture(autouse=True)
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that reports its arguments, in place of llamafactory-cli, which takes 12 s to load."""
    program = tmp_path / "bin/llamafactory-cli"
    program.parent.mkdir()
    program.write_text(SERVER)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))


def test_it_is_up_while_it_is_asked_and_gone_afterwards(tmp_path: Path) -> None:
    with served("some-base", BUDGET, tmp_path / "out") as env:
        assert env["OPENAI_BASE_URL"].startswith("http://127.0.0.1:")
        told = json.load(urllib.request.urlopen(f"{env['OPENAI_BASE_URL']}/models", timeout=10))
        words = " ".join(told["argv"])
        assert words.startswith("api --model_name_or_path some-base --template qwen2_vl")
        assert "--image_max_pixels 262144" in words and "--video_max_pixels 16384" in words  # as in training
        assert group_alive(told["group"])
    assert not group_alive(told["group"])
    assert "$ " in (tmp_path / "out/serve.log").read_text()


def test_one_that_cannot_load_is_a_sentence(tmp_path: Path) -> None:
    said = r"llamafactory-cli api failed \(exit 1\): ValueError: no weights in broken\. .*serve\.log"
    with pytest.raises(Fault, match=said), served("broken", BUDGET, tmp_path / "out"):
        raise AssertionError("it was never up")
