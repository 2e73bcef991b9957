"""Import the released JSON from a data set on the hub: a server on loopback, called by the hub's own client."""

import json
import shutil
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from data_build.dataset.check import check
from data_build.release.export import export
from mmafflm.dataset import Dataset
from tests.command import mmaffin
from tests.loopback import answering


class Hub(BaseHTTPRequestHandler):
    """A data set owner/name, served like the hub's from the folder `root`."""

    root = Path()
    commit = "a" * 40

    def do_HEAD(self) -> None:
        self.reply()

    def do_GET(self) -> None:
        self.wfile.write(self.reply())

    def reply(self) -> bytes:
        place = self.path.partition("?")[0].removeprefix("/api")
        names = [path.name for path in self.root.iterdir()]
        if place.startswith("/datasets/owner/name/resolve/"):
            data = (self.root / place.rpartition("/")[2]).read_bytes()
        elif place.startswith("/datasets/owner/name/tree/"):
            files = [{"type": "file", "path": name, "size": (self.root / name).stat().st_size, "oid": "b" * 40}
                     for name in names]  # fmt: skip
            data = json.dumps(files).encode()
        elif place.startswith("/datasets/owner/name/revision/"):
            siblings = [{"rfilename": name} for name in names]
            data = json.dumps({"id": "owner/name", "sha": self.commit, "siblings": siblings}).encode()
        else:
            self.send_error(404)
            return b""
        self.send_response(200)
        for name, value in {"X-Repo-Commit": self.commit, "ETag": f'"{sha256(data).hexdigest()[:40]}"',
                            "Content-Type": "application/json", "Content-Length": str(len(data))}.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        return data

    def log_message(self, *words: Any) -> None:
        pass


def test_import_of_a_hub_data_set(built: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    export(Dataset.open(built), "llamafactory-alpaca", tmp_path / "release", ["EWECT_virus"])
    (tmp_path / "hub").mkdir()
    shutil.copy(tmp_path / "release/EWECT_virus_test.json", tmp_path / "hub")
    with answering(type("Serving", (Hub,), {"root": tmp_path / "hub"})) as url:
        where = {"HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
        done = {
            name: mmaffin("import", "--from", name, "--out", tmp_path / "data", **where)
            for name in ("owner/name", "owner/other")
        }
    assert done["owner/name"].returncode == 0, done["owner/name"].stderr
    dataset = Dataset.open(tmp_path / "data")
    assert dataset.manifest["import"]["from"] == ["owner/name"] and list(dataset.records("EWECT_virus", "test"))
    assert check(dataset) == []
    assert done["owner/other"].returncode == 1 and "Traceback" not in done["owner/other"].stderr
    assert "Check the id and the network" in done["owner/other"].stderr
