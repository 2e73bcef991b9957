"""Publishing uploads only what the terms allow; the hub is a server on loopback, called by the hub's own client."""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from data_build.corpora.find import corpora
from data_build.dataset.check import check
from data_build.dataset.licences import held_back
from data_build.publish.portion import write_portion
from data_build.publish.publish import choose, publish
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import read_jsonl, sha256_of, write_jsonl, write_text
from tests.loopback import answering

TOKEN = "hf_not_a_real_token_of_anybody"


class Hub(BaseHTTPRequestHandler):
    """The hub's data set owner/name, with the requests that an upload makes. Parquet and pictures use LFS."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    objects: dict[str, bytes]
    commits: list[list[dict[str, Any]]]
    created: list[dict[str, Any]]

    def do_GET(self) -> None:
        if self.path.startswith("/api/datasets/owner/name/tree/"):
            found = [{"type": "file", "path": name, "size": len(data), "oid": "b" * 40}
                     for name, data in self.files.items()]  # fmt: skip
            return self.reply(found)
        siblings = [{"rfilename": name} for name in self.files]
        return self.reply({"id": "owner/name", "sha": "a" * 40, "siblings": siblings})

    def do_PUT(self) -> None:
        self.objects[self.path.rpartition("/")[2]] = self.body()
        self.reply({})

    def do_POST(self) -> None:
        place, said = self.path.partition("?")[0], self.body()
        if place == "/api/validate-yaml":
            return self.reply({"errors": [], "warnings": []})
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.reply({"error": "Invalid credentials"}, 401)
        if place == "/api/repos/create":
            self.created.append(json.loads(said))
            return self.reply({"url": f"{self.origin}/datasets/owner/name"}, 409 if len(self.created) > 1 else 200)
        if place == "/api/datasets/owner/name/preupload/main":
            return self.reply({"files": [self.mode(one["path"]) for one in json.loads(said)["files"]]})
        if place == "/datasets/owner/name.git/info/lfs/objects/batch":
            return self.reply(
                {"transfer": "basic", "objects": [self.place(one) for one in json.loads(said)["objects"]]}
            )
        if place == "/api/datasets/owner/name/commit/main":
            return self.commit([json.loads(line) for line in said.splitlines()])
        return self.reply({"error": f"no such place: {place}"}, 404)

    def mode(self, name: str) -> dict[str, Any]:
        large, data = name.endswith((".parquet", ".png", ".jpg", ".webp")), self.files.get(name)
        oid = None
        if data is not None:
            oid = sha256(data).hexdigest() if large else sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return {"path": name, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid}

    def place(self, one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "actions": {"upload": {"href": f"{self.origin}/lfs/{one['oid']}", "header": {}}}}

    def commit(self, lines: list[dict[str, Any]]) -> None:
        self.commits.append(lines)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.files[value["path"]] = self.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del self.files[value["path"]]
        self.reply({"commitUrl": f"{self.origin}/datasets/owner/name/commit/{'c' * 40}", "commitOid": "c" * 40})

    @property
    def origin(self) -> str:
        return f"http://{self.headers['Host']}"

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def reply(self, said: Any, status: int = 200) -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[type[Hub], str]]:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub belongs to the train tier")
    empty: dict[str, Any] = {"files": {}, "objects": {}, "commits": [], "created": []}
    serving = type("Serving", (Hub,), empty)
    with answering(serving) as url:
        yield serving, url


def command(words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "HF_TOKEN"}
    return subprocess.run([sys.executable, "-m", "data_build", "publish", *words], check=False, capture_output=True,
                          text=True, env={**env, "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment})  # fmt: skip


def texts_of(dataset: Dataset, name: str) -> set[str]:
    """The texts of a subset's rows as written in files, without short ones, which other subsets may also have."""
    found = set()
    for split in dataset.manifest["subsets"][name]:
        for record in dataset.records(name, split):
            text = benchmark()[name].task(record.task).text_in(record.prompt, record.emotion or "")
            found.add(json.dumps(text or "", ensure_ascii=False)[1:-1])
    return {text for text in found if len(text) > 30}


def test_what_the_terms_allow_is_uploaded_and_nothing_else(
    built: Path, hub: tuple[type[Hub], str], tmp_path: Path
) -> None:
    serving, endpoint = hub
    serving.files |= {"mmaffin/parquet/MELD_EC_train.parquet": b"of an earlier upload", "LICENSE": b"mine"}
    where = {"HF_ENDPOINT": endpoint, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home"),
             "HF_HUB_DISABLE_XET": "1"}  # fmt: skip
    words = ["--data", str(built), "--repo", "owner/name"]
    done = command(words, **where)
    assert done.returncode == 0, done.stderr
    held = sum(not corpus.redistribute for corpus in corpora().values())
    assert TOKEN not in done.stdout + done.stderr and done.stderr.count("left out, because") == held
    assert "semeval2018: left out, because its README says: Do not redistribute the data." in done.stderr
    assert serving.created[0]["visibility"] == "private" and serving.files.pop("LICENSE") == b"mine"
    assert not any(name.startswith(".") or "media/" in name for name in serving.files)
    for name, data in serving.files.items():
        (tmp_path / "got" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "got" / name).write_bytes(data)
    got = Dataset.open(tmp_path / "got")
    assert check(got) == [] and list(got.manifest["subsets"]) == ["XED"]
    before = Dataset.open(built)
    assert list(got.records("XED", "test")) == list(before.records("XED", "test"))
    mix = [row["id"] for row in read_jsonl(built / "mmaffin/mmaffin_train.jsonl") if row["subset"] == "XED"]
    assert [row["id"] for row in read_jsonl(tmp_path / "got/mmaffin/mmaffin_train.jsonl")] == mix
    everything = b"".join(serving.files.values()).decode("utf-8", "replace")
    assert TOKEN not in everything
    ours = texts_of(before, "XED")
    assert ours and all(text in everything for text in ours)
    for name in benchmark():
        assert name == "XED" or not any(text in everything for text in texts_of(before, name) - ours), name
    again = command(words, **where)
    assert again.returncode == 0 and len(serving.commits) == 1, again.stderr  # nothing new, no commit
    assert not (built / ".publish").exists()


def test_a_wrong_token_is_a_sentence_that_does_not_show_it(
    built: Path, hub: tuple[type[Hub], str], tmp_path: Path
) -> None:
    where = {"HF_ENDPOINT": hub[1], "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
    words = ["--data", str(built), "--repo", "owner/name"]
    wrong = command(words, HF_TOKEN="hf_wrong_and_secret", **where)
    assert wrong.returncode == 1 and "Check the name, the token's rights and the network" in wrong.stderr
    assert "secret" not in wrong.stdout + wrong.stderr and "Traceback" not in wrong.stderr
    none = command(words, **where)
    assert none.returncode == 2 and "HF_TOKEN is not set" in none.stderr and not hub[0].files


def test_a_dry_run_lists_the_files_without_network_and_without_the_hubs_client(
    built: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # the core tier does not have it
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    publish(Dataset.open(built), "owner/name", dry_run=True)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    listed = {name: int(size.replace(",", "")) for size, name in lines}
    test = "mmaffben/XED_test.jsonl"
    assert listed[test] == (built / test).stat().st_size and {"README.md", "manifest.json"} <= set(listed)
    assert not any("MELD" in name or name.startswith("media/") for name in listed)


def test_an_allowed_corpus_goes_along_with_its_pictures(built: Path, tmp_path: Path) -> None:
    before, out = Dataset.open(built), tmp_path / "portion"
    choice = choose(list(before.manifest["corpora"]), ["fer2013", "meld"])
    assert set(choice.kept) == {"xed", "fer2013", "meld"}
    assert set(choice.allowed) == {"fer2013", "meld"} and "emotic" in choice.left_out
    write_portion(before, choice.kept, out, {"allowed": choice.allowed, "left_out": choice.left_out}, {})
    got = Dataset.open(out)
    assert check(got) == [] and set(got.manifest["subsets"]) == {"XED", "FER2013", "MELD_EC", "MELD_SP"}
    assert {path.name for path in (out / "media").iterdir()} == {"fer2013", "meld", "index.jsonl"}
    assert got.manifest["mix"]["rows"] == sum(sum(of.values()) for of in got.manifest["mix"]["subsets"].values())
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "Passed on although no terms" in card and "- semeval2018: its README says: Do not redistribute" in card
    assert got.manifest["published"]["of"] == before.hash != got.hash


def test_clips_go_by_their_own_licence_also_where_their_corpus_is_allowed(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = Dataset.open(built), tmp_path / "portion"
    held = held_back(before, ["xed", "samsemo"])
    records = [one for split in before.manifest["subsets"]["SAMSEMO"] for one in before.records("SAMSEMO", split)]
    of = {row["source"]: row["licence"] for row in read_jsonl(built / "origins.jsonl") if row["corpus"] == "samsemo"}
    assert set(held) == {one.id for one in records if of[one.source] == "CC BY-NC-ND 4.0"} and held
    write_portion(before, ["xed", "samsemo"], out, {"allowed": ["samsemo"], "left_out": {}}, held)
    got = Dataset.open(out)
    assert check(got) == [] and set(got.manifest["subsets"]) == {"XED", "SAMSEMO"}
    kept = [one for split in got.manifest["subsets"]["SAMSEMO"] for one in got.records("SAMSEMO", split)]
    assert [one.id for one in kept] == [one.id for one in records if one.id not in held]
    account, was = got.manifest["corpora"]["samsemo"], before.manifest["corpora"]["samsemo"]
    assert account["rows_read"] == was["rows_read"] and was["rows_kept"] - account["rows_kept"] == len(held)
    assert was["licences"].keys() == {"CC BY 4.0", "CC BY-NC-ND 4.0"} and account["licences"].keys() == {"CC BY 4.0"}
    assert {row["source"] for row in read_jsonl(out / "origins.jsonl")} == {one.source for one in kept}
    assert not {row["id"] for row in read_jsonl(out / "mmaffin/mmaffin_train.jsonl")} & held.keys()
    mix = got.manifest["mix"]
    assert mix["rows"] == sum(sum(of.values()) for of in mix["subsets"].values())
    assert (out / "media/samsemo").is_dir() and "| CC BY 4.0 |" in (out / "README.md").read_text(encoding="utf-8")
    publish(before, "owner/name", ["samsemo"], dry_run=True)
    said = capsys.readouterr()
    assert f"{len(held)} rows: CC BY-NC-ND 4.0 (allows no changed copies)" in said.err and "media/samsemo" in said.out


def test_a_corpus_whose_licences_are_not_known_stays_behind(built: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(built, data, copy_function=os.link)
    (data / "origins.jsonl").unlink()  # as in a build of a release
    only = Dataset(data, Dataset.open(data).manifest | {"corpora": {"samsemo": {}}})
    with pytest.raises(Fault, match="no corpus in it may be passed on"):
        publish(only, "owner/name", ["samsemo"], dry_run=True)


def test_what_cannot_be_published_is_said(built: Path) -> None:
    dataset = Dataset.open(built)
    with pytest.raises(UsageFault, match=r"--allow fer: not in this build"):
        publish(dataset, "owner/name", ["fer"], dry_run=True)
    with pytest.raises(UsageFault, match="expected OWNER/NAME"):
        publish(dataset, "name", dry_run=True)
    only = Dataset(built, dataset.manifest | {"corpora": {"meld": {}}})
    with pytest.raises(Fault, match="no corpus in it may be passed on"):
        publish(only, "owner/name", dry_run=True)


def test_translations_go_with_the_corpus_they_are_of(built: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(built, data, copy_function=os.link)
    rows = list(read_jsonl(built / "quarantine.jsonl"))
    for name, text in (("XED/es<-en/train/000001", "a subtitle"), ("MELD_EC/es<-en/train/000001", "of the series")):
        rows.append({"corpus": "translate", "source": name, "reason": "empty", "detail": text, "rows": 1})
    write_jsonl(data / "quarantine.jsonl", rows)
    manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    manifest["translation"] = {"rows_read": 5, "rows_kept": 3, "rows_quarantined": {"empty": 2}}
    for name, translated in (("XED", 1), ("MELD_EC", 2)):
        manifest["subsets"][name]["train"]["translated"] = {"es<-en": translated}
    manifest["files"]["quarantine.jsonl"]["sha256"] = sha256_of(data / "quarantine.jsonl")
    write_text(data / "manifest.json", json.dumps(manifest))
    write_portion(Dataset.open(data), ["xed"], tmp_path / "portion", {"allowed": [], "left_out": {}}, {})
    got = Dataset.open(tmp_path / "portion")
    assert got.manifest["translation"] == {"rows_read": 2, "rows_kept": 1, "rows_quarantined": {"empty": 1}}
    assert check(got) == [] and "of the series" not in (tmp_path / "portion/quarantine.jsonl").read_text()
