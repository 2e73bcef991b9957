"""Lines of records: what is read, what is refused with its line, and what a stopped write leaves."""

import errno
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from mmafflm.errors import Fault
from mmafflm.records import (
    Record,
    append_jsonl,
    drop_torn_line,
    dump,
    media_files,
    read_jsonl,
    read_records,
    replacing,
    sha256_of,
    to_record,
    write_jsonl,
)
from tests.mmafflm.tiny_data import make_record

ROW = asdict(make_record(7, "fine", "positive", images=1)) | {"emotion": None}


def lines(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(dump(row) for row in rows))
    return path


def test_a_line_that_is_being_written_is_left_to_the_next_time(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", {"a": 1}, {"a": 2})
    with path.open("ab") as out:
        out.write(b'{"a": 3}')
    assert [row["a"] for row in read_jsonl(path, growing=True)] == [1, 2]
    assert [row["a"] for row in read_jsonl(path)] == [1, 2, 3]


@pytest.mark.parametrize(("line", "said"), [("{", r":2: not JSON"), ("[1]", r":2: expected a JSON object, found list")])
def test_a_line_that_is_no_object_is_named(line: str, said: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", {"a": 1})
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(Fault, match=said):
        list(read_jsonl(path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": 7}, "id is not a string"),
        ({"language": None}, "language is not a string"),
        ({"messages": [{"role": "user", "content": "x"}]}, "messages does not have the form"),
        ({"messages": [{"role": "user"}, {"role": "assistant", "content": "x"}]}, "messages does not have the form"),
        ({"images": "a.png"}, "images does not have the form"),
        ({"videos": [1]}, "videos does not have the form"),
        ({"gold": [1]}, "gold does not have the form"),
        ({"gold": {"valence": "high"}}, "gold does not have the form"),
        ({"gold": "joy"}, "gold does not have the form"),
        ({"translated_from": {"id": "x"}}, "translated_from does not have the form"),
        ({"translated_from": {"language": 1}}, "translated_from does not have the form"),
        ({"emotion": 1}, "emotion does not have the form"),
        ({"group": "12"}, "group does not have the form"),
        ({"task": "emotion_classification"}, "is not a subset with a task"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
    ],
)
def test_a_row_of_another_form_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        to_record(ROW | change)


@pytest.mark.parametrize(
    "change",
    [
        {"gold": 0.5}, {"gold": {"valence": 1}}, {"gold": []}, {"emotion": "joy"}, {"videos": ["a.mp4", ["b.png"]]},
        {"group": "film:x"}, {"translated_from": {"language": "en", "id": "x"}},
    ],
)  # fmt: skip
def test_a_row_of_a_known_form_is_a_record(change: dict[str, Any]) -> None:
    record = to_record(ROW | change)
    row = json.loads(dump(record.to_json()))
    assert row == {
        name: value for name, value in (ROW | change).items() if value is not None or name not in ("emotion", "group")
    }
    assert list(row) == [name for name in Record.__slots__ if name in row]


def test_a_record_names_its_turns_and_its_media() -> None:
    record = to_record(ROW | {"images": ["a.png"], "videos": [["b.png", "c.png"], "d.mp4"]})
    assert media_files(record) == ["a.png", "b.png", "c.png", "d.mp4"]
    assert record.prompt.startswith("<image>Row 000007") and record.answer == "positive"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": ["../a.png"]}, r"XED_train\.jsonl:2: .*a\.png"),
        ({"videos": [[]]}, r":2: a clip without frames"),
        ({"split": 1}, r":2: not a record \(split is not a string\)"),
    ],
)
def test_a_record_that_leads_out_of_the_data_is_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = lines(tmp_path / "data/mmaffin/XED_train.jsonl", ROW, ROW | change)
    with pytest.raises(Fault, match=said):
        list(read_records(path))


def stop_writing(path: Path, error: Exception) -> None:
    with replacing(path) as out:
        out.write(b"half")
        raise error


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", {"a": 1})
    before = path.read_bytes()
    with pytest.raises(KeyError):
        stop_writing(path, KeyError())
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == ["x.jsonl"]
    with replacing(path) as out:
        out.write(b"whole")
        assert path.read_bytes() == before  # until the block ends
    assert path.read_bytes() == b"whole" and [one.name for one in tmp_path.iterdir()] == ["x.jsonl"]
    with pytest.raises(Fault, match=r"x\.jsonl.*No space left"):
        stop_writing(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert path.read_bytes() == b"whole" and [one.name for one in tmp_path.iterdir()] == ["x.jsonl"]


def test_rows_are_counted_and_a_file_is_hashed_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep/x.jsonl"
    assert write_jsonl(path, ({"é": number} for number in range(5))) == 5
    assert path.read_text() == "".join(f'{{"é":{number}}}\n' for number in range(5))
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert write_jsonl(path, []) == 0 and path.read_bytes() == b""


def test_rows_that_cannot_all_be_appended_are_not_appended_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep/x.jsonl"
    append_jsonl(path, [{"a": 1}])
    append_jsonl(path, [{"a": 2}, {"a": 3}])
    before = path.read_bytes()
    assert before == b'{"a":1}\n{"a":2}\n{"a":3}\n'

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Fault, match=r"x\.jsonl.*No space left"):
        append_jsonl(path, [{"a": 4}])
    assert path.read_bytes() == before

    def stopped(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        append_jsonl(path, [{"a": 4}])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "left"), [("", ""), ("a", ""), ("a\n", "a\n"), ("a\nb", "a\n"), ("a\nb\n", "a\nb\n"), ("a\n\nb", "a\n\n")]
)
def test_only_a_torn_last_line_is_cut_off(text: str, left: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    drop_torn_line(path)
    assert path.read_text() == left
    drop_torn_line(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
