"""Archives that are damaged, or made to harm: each gives a message, and their sound members are read."""

import io
import os
import socket
import struct
import tarfile
import zipfile
from pathlib import Path
from random import Random

import pytest

from data_build.reading.archives import read_zipped, stream_members
from data_build.reading.raw import list_raw, stream_csv
from data_build.reading.unreadable import Unreadable
from mmafflm.errors import Fault
from tests.data_build.raw_rows import put
from tests.data_build.reading.test_raw import tar_bytes, zip_bytes
from tests.fuzz.mutations import mutate

ROWS = b"some text\t1\n" * 50


def packed(method: int, members: dict[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in (members or {"a.tsv": ROWS}).items():
            archive.writestr(name, data)
    return out.getvalue()


def with_headers(data: bytes, local: int, central: int, value: int) -> bytes:
    """The zip with a 16-bit field set in both headers of its only member."""
    changed = bytearray(data)
    struct.pack_into("<H", changed, local, value)
    struct.pack_into("<H", changed, data.rindex(b"PK\x01\x02") + central, value)
    return bytes(changed)


def broken(method: int) -> bytes:
    data = bytearray(packed(method))
    data[37:47] = b"\xff" * 10
    return bytes(data)


DEFLATED = packed(zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            with_headers(DEFLATED, 6, 8, 1),
            "x.zip: a.tsv is encrypted. Unpack the archive and put its files in its place.",
        ),
        (with_headers(DEFLATED, 8, 10, 9), "a.tsv is compressed in a way that is not supported (method 9)"),
        (broken(zipfile.ZIP_LZMA), "x.zip: a broken or truncated archive (a.tsv: "),
        (broken(zipfile.ZIP_BZIP2), "x.zip: a broken or truncated archive (a.tsv: "),
        (broken(zipfile.ZIP_DEFLATED), "x.zip: a broken or truncated archive (a.tsv: "),
    ],
)
def test_a_member_that_cannot_be_unpacked_is_named_and_its_neighbours_are_read(tmp_path, data, sentence):
    path = put(tmp_path, "x.zip", data)
    (file,) = list_raw(tmp_path)
    with pytest.raises(Unreadable) as fault:
        file.read()
    assert sentence in str(fault.value)
    with pytest.raises(Unreadable):
        read_zipped(path, "a.tsv")
    # as a zip within a tar: the file next to it is still read
    whole = tar_bytes({"in.zip": data, "b.tsv": b"sound"})
    outer = put(tmp_path, "y.tar.gz", whole)
    found = dict(stream_members(outer, {("in.zip", "a.tsv"), ("b.tsv",)}))
    assert found["b.tsv",] == b"sound" and isinstance(found["in.zip", "a.tsv"], Unreadable)


def test_names_that_are_not_utf8(tmp_path):
    data = packed(zipfile.ZIP_STORED, {"ä.tsv": ROWS}).replace("ä".encode(), b"\xff\xfe")
    put(tmp_path / "zip", "x.zip", data)
    with pytest.raises(Unreadable, match=r"x\.zip: a name in it is not UTF-8 \(byte 0xff\)"):
        list_raw(tmp_path / "zip")
    put(tmp_path / "tar", "x.tar", tar_bytes({os.fsdecode(b"\xff\n.tsv"): ROWS}, "w"))
    put(tmp_path / "disk", os.fsdecode(b"d\xe4/\xff.tsv"), ROWS)
    for folder, name in (("tar", r"x.tar!\xff\x0a.tsv"), ("disk", r"d\xe4/\xff.tsv")):
        (file,) = list_raw(tmp_path / folder, tmp_path / "cache")
        assert file.name == name and file.read() == ROWS
    assert list_raw(tmp_path / "tar", tmp_path / "cache") == list_raw(tmp_path / "tar")


def test_an_exclamation_mark_is_only_a_letter(tmp_path):
    put(tmp_path, "x.zip", packed(zipfile.ZIP_STORED, {"x!y/a.zip!b/fr.tsv": ROWS, "a!.tsv": b"2"}))
    one, other = list_raw(tmp_path)
    assert (one.name, one.basename, one.read()) == ("x.zip!a!.tsv", "a!.tsv", b"2")
    assert (other.basename, other.inside, other.read()) == ("fr.tsv", "x!y/a.zip!b/fr.tsv", ROWS)


def test_archives_within_each_other_end_somewhere(tmp_path):
    data = ROWS
    for _ in range(1200):
        data = packed(zipfile.ZIP_STORED, {"a.zip": data})
    put(tmp_path, "x.zip", data)
    with pytest.raises(
        Unreadable, match=r"x\.zip: more than 4 archives within each other \(a\.zip!a\.zip!a\.zip!a\.zip"
    ):
        list_raw(tmp_path)


def test_of_several_members_of_one_name_the_first_is_used_and_said(tmp_path, capsys):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.tsv", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.tsv", b"second")
    path = put(tmp_path, "x.zip", out.getvalue())
    (file,) = list_raw(tmp_path)
    assert file.read() == read_zipped(path, "a.tsv") == b"first"
    assert f"{path}: several members are named x.zip!a.tsv; the first is used." in capsys.readouterr().err
    path.unlink()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for data in (b"first", b"second"):
            info = tarfile.TarInfo("a.tsv")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    path = put(tmp_path, "x.tar", out.getvalue())
    for _ in range(2):  # from the archive, then from its cached listing
        (file,) = list_raw(tmp_path, tmp_path.parent / "cache")
        assert file.read() == dict(stream_members(path, {("a.tsv",)}))["a.tsv",] == b"first"
        assert "several members are named x.tar!a.tsv" in capsys.readouterr().err


def test_members_that_share_their_bytes_are_refused(tmp_path):
    data = packed(zipfile.ZIP_STORED, {"a.tsv": ROWS, "b.tsv": ROWS, "c.tsv": ROWS})
    second = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))
    changed = bytearray(data)
    struct.pack_into("<L", changed, second + 42, 0)  # b has the same place as a
    put(tmp_path, "x.zip", bytes(changed))
    a, b, c = list_raw(tmp_path)
    assert c.read() == ROWS
    with pytest.raises(Unreadable, match="shares its bytes with another member"):
        (a.read(), b.read())


def header(size: bytes | int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo("a.tsv")
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = size if isinstance(size, bytes) else tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


@pytest.mark.parametrize(
    "data",
    [
        header(2**60) + bytes(10_240),
        header(-1024) + bytes(10_240),
        header(2**60, tarfile.GNUTYPE_LONGNAME) + bytes(10_240),
        header(10_000_000, tarfile.XHDTYPE) + b"9" * 10_000_000,
        header(512, tarfile.XHDTYPE) + b"25 size=-99999999999999\n".ljust(512, b"\0") + header(4) + bytes(2048),
        header(512, tarfile.XHDTYPE) + b"27 size=1152921504606846976\n".ljust(512, b"\0") + header(4) + bytes(2048),
        (header(0, tarfile.XHDTYPE) * 3000) + header(4) + bytes(2048),
        bytes(100),
        b"",
    ],
)
def test_a_tar_archive_with_impossible_sizes_ends(tmp_path, data):
    put(tmp_path, "x.tar", data)
    with pytest.raises(Unreadable, match=r"x\.tar: a broken or truncated archive"):
        list_raw(tmp_path)


def test_a_sparse_member_is_refused_and_the_rest_is_read(tmp_path):
    block = bytearray(header(512, tarfile.GNUTYPE_SPARSE))
    block[386:410] = tarfile.itn(2**50, 12, tarfile.GNU_FORMAT) + tarfile.itn(512, 12, tarfile.GNU_FORMAT)
    block[483:495] = tarfile.itn(2**60, 12, tarfile.GNU_FORMAT)
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    put(tmp_path, "x.tar", bytes(block) + bytes(512) + tar_bytes({"b.tsv": ROWS}, "w"))
    sparse, plain = list_raw(tmp_path)
    assert plain.read() == ROWS
    with pytest.raises(Unreadable, match=r"a file that is read whole may have at most 2\.1 GB"):
        sparse.read()
    with pytest.raises(Unreadable, match=r"stored with holes \(sparse\)"):
        sparse.open()


def test_what_unpacks_out_of_all_proportion_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("data_build.reading.unreadable.BOMB", 1 << 20)
    bomb = b"0" * (4 << 20)
    put(tmp_path / "zip", "x.zip", packed(zipfile.ZIP_DEFLATED, {"a.tsv": bomb}))
    (file,) = list_raw(tmp_path / "zip")
    with pytest.raises(Unreadable, match=r"a\.tsv unpacks to 4,194,304 bytes from 4,0\d\d, which no corpus does"):
        file.read()
    put(tmp_path / "tar", "x.tgz", tar_bytes({"a.tsv": bomb}))
    with pytest.raises(Unreadable, match=r"it unpacks to over [\d,]+ bytes from [\d,]+"):
        list_raw(tmp_path / "tar")


def test_a_file_too_large_to_be_read_at_once_is_refused_with_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("data_build.reading.raw.TEXT", 1000)
    put(tmp_path, "a.tsv", b"a\tb\n" * 500)
    with pytest.raises(Unreadable, match=r"a\.tsv: 0\.0 MB, and a file that is read whole may have at most 0\.0 MB"):
        list_raw(tmp_path)[0].text()


def test_a_table_read_by_line_is_bounded_and_csv_gives_up_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("data_build.reading.raw.LINE", 100)
    put(tmp_path, "a.tsv", b"one\ttwo\n" + b"x" * 200)
    put(tmp_path, "b.tsv", b"one\r\rtwo\tthree\r\nfour\0\tfive")
    put(tmp_path, "c.tsv", b"one\ntwo \xe9\n")
    one, other, third = list_raw(tmp_path)
    with pytest.raises(Unreadable, match=r"a\.tsv: line 2 has more than 100 characters"):
        list(stream_csv(one, "\t"))
    assert [row.fields for row in stream_csv(other, "\t")] == [["one"], ["two", "three"], ["four\0", "five"]]
    with pytest.raises(Fault, match=r"c\.tsv:\d: not UTF-8 here or shortly after"):
        list(stream_csv(third, "\t"))


def test_what_is_no_file_is_passed_over_with_a_message(tmp_path, monkeypatch, capsys):
    put(tmp_path, "a.tsv", ROWS)
    os.mkfifo(tmp_path / "pipe.tsv")
    (tmp_path / "gone.tsv").symlink_to("nothing")
    (tmp_path / "loop.tsv").symlink_to("loop.tsv")
    monkeypatch.chdir(tmp_path)  # a socket's path may be 107 bytes long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.tsv")
    (tmp_path / "folder.tsv").mkdir()
    assert [file.name for file in list_raw(tmp_path)] == ["a.tsv"]
    said = capsys.readouterr().err
    for name in ("pipe", "socket"):
        assert f"{tmp_path / name}.tsv: neither a file nor a folder; skipped." in said
    assert (
        "gone.tsv: cannot be read (No such file or directory)" in said and "loop.tsv: cannot be read (Too many" in said
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_archive_is_read_or_refused_in_a_sentence(tmp_path, seed):
    random = Random(seed)
    members = {"a/b.tsv": ROWS, "c.zip": zip_bytes({"d.tsv": ROWS}), "e.tar.gz": tar_bytes({"f.tsv": ROWS})}
    for number in range(60):
        name, whole = random.choice(
            [("x.tar", tar_bytes(members, "w")), ("x.tgz", tar_bytes(members))]
            + [("x.zip", packed(method, members)) for method in (0, 8, 12, 14)]
        )
        folder = Path(tmp_path / str(number))
        put(folder, name, mutate(whole, random, members)[0])
        try:
            files = list_raw(folder)
        except Unreadable:
            continue
        for file in files:
            try:
                assert len(file.read()) == file.size
            except Unreadable:
                continue
