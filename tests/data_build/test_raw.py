import io
import tarfile
from pathlib import Path

import pytest

from data_build.raw import csv_rows, list_raw, one_of
from mmafflm.errors import Fault
from tests.data_build.reading import put, zipped


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_folders_and_archives_are_listed_alike_without_litter(tmp_path):
    put(tmp_path, "b/x.txt", "loose")
    zipped(tmp_path / "a.zip", {"in/x.txt": "zipped", "__MACOSX/in/._x.txt": "", "in/.DS_Store": ""})
    tar(tmp_path / "c.tar.gz", {"in/x.txt": b"tarred", "in/._x.txt": b""})
    put(tmp_path, ".git/config", "")
    files = list_raw(tmp_path)
    assert [file.name for file in files] == ["a.zip!in/x.txt", "b/x.txt", "c.tar.gz!in/x.txt"]
    assert [file.read() for file in files] == [b"zipped", b"loose", b"tarred"]
    assert {file.basename for file in files} == {"x.txt"} and [file.size for file in files] == [6, 5, 6]
    assert len({file.sha256() for file in files}) == 3


@pytest.mark.parametrize("keep", [10, 60, -30])
def test_a_truncated_archive_is_named(tmp_path, keep):
    for path in (
        zipped(tmp_path / "a.zip", {"x.txt": "text " * 1000}),
        tar(tmp_path / "b.tar.gz", {"x.txt": bytes(range(256)) * 400}),
    ):
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(Fault, match=f"{path.name}: a broken or truncated archive"):
            [file.read() for file in list_raw(tmp_path)]
        path.unlink()


def test_a_damaged_member_is_named_when_it_is_read(tmp_path):
    path = zipped(tmp_path / "a.zip", {"x.txt": "some text"})
    path.write_bytes(path.read_bytes().replace(b"some text", b"same text"))
    with pytest.raises(Fault, match=r"a\.zip: a broken or truncated archive"):
        list_raw(tmp_path)[0].read()


def test_a_bom_goes_and_the_first_line_that_is_not_utf8_is_named(tmp_path):
    put(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\n")
    put(tmp_path, "b.txt", "one\ntwo\nthr\xe9\n".encode("latin-1"))
    first, second = list_raw(tmp_path)
    assert first.text() == "one\r\n"
    with pytest.raises(Fault, match=r"b\.txt:3: not UTF-8 \(byte 0xe9\)"):
        second.text()


def test_copies_may_differ_in_bom_and_line_ends_only(tmp_path):
    put(tmp_path, "long/x.txt", "a\nb\n")
    put(tmp_path, "x.txt", b"\xef\xbb\xbfa\r\nb")
    assert one_of(list_raw(tmp_path)).name == "x.txt"
    assert one_of(list_raw(tmp_path), prefer=lambda file: "long" not in file.name).name == "long/x.txt"
    put(tmp_path, "y/x.txt", "a\nc\n")
    with pytest.raises(Fault, match=r"x\.txt and y/x\.txt: two different copies of one file"):
        one_of(list_raw(tmp_path))


def test_csv_rows_start_on_physical_lines():
    rows = list(csv_rows('a,"b\nc"\n\nd,e\r\n"open,\nrest'))
    assert [(row.line, row.fields) for row in rows] == [(1, ["a", "b\nc"]), (4, ["d", "e"]), (5, ["open,\nrest"])]
    assert [row.fields for row in csv_rows('"a\tb"\n', "\t", 3)] == [['"a', 'b"']]


def test_one_huge_field_is_no_fault():
    assert len(next(csv_rows('"' + "x\n" * 200_000)).fields[0]) == 400_000
