"""Reading a JSON file of a run or a checkpoint gives an object or an error message, whatever the file contains."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmafflm.errors import Fault
from mmafflm.files.documents import read_json, read_settings
from mmafflm.run_file import read_run
from tests.command import mmaffben

DEEP = "[" * 100_000
MALFORMED = {
    "empty": b"",
    "truncated": b'{"a": {"b": 1',
    "a list": b"[1]",
    "a number": b"7",
    "deep": DEEP.encode(),
    "deep object": b'{"a": ' * 100_000,
    "half a pair": rb'{"a": "\ud800"}',
    "half a pair as a key": rb'{"\uDC00": 1}',
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "a NUL": b"\0",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_json_is_a_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(MALFORMED[name])
    with pytest.raises(Fault, match=r"config\.json: .*\. Copy it again\.$"):
        read_json(path, "Copy it again.")


def test_what_a_trainer_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"loss": NaN, "pair": "\\ud83d\\ude00", "n": 12345678901234567890}')
    assert read_json(path, "")["pair"] == "😀"
    with pytest.raises(Fault, match="cannot be read as a JSON file"):
        read_json(tmp_path, "")
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "b.json", "")


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":\\u,da80 1e', max_size=60).map(str.encode))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_an_object_or_a_fault(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text)
    for read in (read_json, read_settings):
        try:
            found = read(path, "Fix it.")
        except Fault:
            continue
        assert isinstance(found, dict)
        if read is read_json:
            json.dumps(found, ensure_ascii=False).encode()


def test_yaml_that_is_too_deep(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("[" * 5000)
    with pytest.raises(Fault, match=r"a\.yaml: nested too deep"):
        read_settings(path, "")


@pytest.mark.parametrize(
    "row",
    [
        {"budget": []},
        {"budget": {"video_fps": "two"}},
        {"subsets": {"XED": 7}},
        {"subsets": []},
        {"languages": "de"},
        {"limit": "all"},
        {"finished": "yes"},
        {"base": 7},
        {"data_hash": {}},
        {"spent": {"usd": "much"}},
    ],
)
def test_a_run_whose_values_are_of_another_kind(row: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(row))
    with pytest.raises(Fault, match=rf"run\.json: not the description of a run \({next(iter(row))}.*Restore it"):
        read_run(tmp_path)


def test_a_run_of_another_version_is_read(tmp_path: Path) -> None:
    row = {"schema": 1, "limit": None, "budget": {"video_fps": 2.0, "video_maxlen": 4}, "new": [1, {"a": None}]}
    (tmp_path / "run.json").write_text(json.dumps(row))
    assert read_run(tmp_path) == row and read_run(tmp_path / "gone") is None


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text(DEEP)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/manifest.json").write_text('{"data_hash": "x", "files": {}, "subsets": {}}')
    done = mmaffben("score", tmp_path / "run", "--data", tmp_path / "data")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {tmp_path / 'run/run.json'}: not JSON (nested too deeply). Restore it, or choose another folder.\n"
    )
