import io
import os
import stat
import tarfile
import zipfile
from typing import Literal

import pytest

from data_build.reading.archives import list_members, stream_members
from data_build.reading.raw import RawFile, csv_rows, list_raw, one_of
from mmafflm.errors import Fault
from tests.data_build.raw_rows import put, zipped


def tar_bytes(members: dict[str, bytes], mode: Literal["w", "w:gz"] = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_folders_and_archives_are_listed_alike_without_litter(tmp_path):
    put(tmp_path, "b/x.txt", "loose")
    zipped(tmp_path / "a.zip", {"in/x.txt": "zipped", "__MACOSX/in/._x.txt": "", "in/.DS_Store": ""})
    put(tmp_path, "c.tar.gz", tar_bytes({"in/x.txt": b"tarred", "in/._x.txt": b""}))
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
        put(tmp_path, "b.tar.gz", tar_bytes({"x.txt": bytes(range(256)) * 400})),
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
    assert one_of(list_raw(tmp_path), rank=lambda file: "long" not in file.name).name == "long/x.txt"
    put(tmp_path, "y/x.txt", "a\nc\n")
    with pytest.raises(Fault, match=r"x\.txt and y/x\.txt: two different copies of one file"):
        one_of(list_raw(tmp_path))


def test_csv_rows_start_on_physical_lines():
    rows = list(csv_rows("t.csv", 'a,"b\nc"\n\nd,e\r\n"open,\nrest'))
    assert [(row.line, row.fields) for row in rows] == [(1, ["a", "b\nc"]), (4, ["d", "e"]), (5, ["open,\nrest"])]
    assert [row.fields for row in csv_rows("t.csv", '"a\tb"\n', "\t", 3)] == [['"a', 'b"']]


def test_one_huge_field_is_no_fault():
    assert len(next(csv_rows("t.csv", '"' + "x\n" * 200_000)).fields[0]) == 400_000


CLIPS = {"train_splits/dia0_utt0.mp4": b"a" * 512, "train_splits/dia0_utt1.mp4": b"b" * 700, "._x.mp4": b"stub"}
NESTED = {
    "MELD.Raw/README.txt": b"read me",
    "MELD.Raw/train.tar.gz": tar_bytes(CLIPS),
    "MELD.Raw/._train.tar.gz": b"stub",  # not an archive, despite its name
    "MELD.Raw/test.tar": tar_bytes({"./final.mp4": b"c" * 3000}, "w"),
    "MELD.Raw/more.zip": zip_bytes({"deep.tgz": tar_bytes({"d.mp4": b"d"})}),
}
MEMBERS = {
    "MELD.Raw/README.txt": b"read me",
    "MELD.Raw/more.zip!deep.tgz!d.mp4": b"d",
    "MELD.Raw/test.tar!./final.mp4": b"c" * 3000,
    "MELD.Raw/train.tar.gz!train_splits/dia0_utt0.mp4": b"a" * 512,
    "MELD.Raw/train.tar.gz!train_splits/dia0_utt1.mp4": b"b" * 700,
}
STEPS = {tuple(name.split("!")): data for name, data in MEMBERS.items()}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.tar.gz", tar_bytes(NESTED)),
        ("m.tar", tar_bytes(NESTED, "w")),
        ("m.zip", zip_bytes(NESTED)),
        ("m.tgz", tar_bytes(NESTED, "w")),  # some download tools unpack gzip and keep the name
    ],
)
def test_archives_within_archives_are_listed_opened_and_streamed(tmp_path, name, data):
    put(tmp_path, name, data)
    files = list_raw(tmp_path)
    assert [file.name for file in files] == [f"{name}!{member}" for member in MEMBERS]
    assert {"!".join(file.member or ()): file.read() for file in files} == MEMBERS
    assert [file.size for file in files] == [len(content) for content in MEMBERS.values()]
    assert [file.basename for file in files] == ["README.txt", "d.mp4", "final.mp4", "dia0_utt0.mp4", "dia0_utt1.mp4"]
    assert [file.streamed for file in files] == [name != "m.zip" or len(file.member or ()) > 1 for file in files]
    assert dict(stream_members(tmp_path / name, set(STEPS))) == STEPS


def test_a_stream_yields_what_is_wanted_in_the_archives_order_and_reads_no_further(tmp_path):
    path = put(tmp_path, "m.tar", tar_bytes(NESTED, "w"))
    first, last = ("MELD.Raw/train.tar.gz", "train_splits/dia0_utt1.mp4"), ("MELD.Raw/test.tar", "./final.mp4")
    assert list(stream_members(path, {last, first})) == [(first, b"b" * 700), (last, b"c" * 3000)]
    assert list(stream_members(path, set())) == []
    path.write_bytes(path.read_bytes()[:1500])  # the damage is after the first members
    assert list(stream_members(path, {("MELD.Raw/README.txt",)})) == [(("MELD.Raw/README.txt",), b"read me")]
    with pytest.raises(Fault, match=r"m\.tar: a broken or truncated archive"):
        list(stream_members(path, set(STEPS)))


def test_a_member_that_is_gone_is_named(tmp_path):
    path = put(tmp_path, "m.tar.gz", tar_bytes(CLIPS))
    with pytest.raises(Fault, match=r"m\.tar\.gz: 1 members are gone, such as b\.mp4\. Run the same command again"):
        list(stream_members(path, {("b.mp4",)}))
    with pytest.raises(Fault, match=r"no member b\.mp4"):
        RawFile("m.tar.gz!b.mp4", path, ("b.mp4",), 1).open()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_wherever_a_tar_archive_is_cut_it_is_broken(tmp_path, mode):
    """tarfile itself treats a damaged header, or a file that ends between two members, as the end of the archive."""
    inner = tar_bytes({"a": b"x" * 300, "b": b"y" * 512}, "w")
    whole = tar_bytes({"in.tar": inner, "c": b"z" * 2000}, mode)
    assert len(list_raw(put(tmp_path, "x.tar.gz", whole).parent)) == 3
    end = len(whole) if mode == "w:gz" else whole.rindex(b"z") // 512 * 512 + 512
    for keep in {*range(0, end, 7 if mode == "w:gz" else 256), end - 1}:
        put(tmp_path, "x.tar.gz", whole[:keep])
        with pytest.raises(Fault, match="broken or truncated"):
            list_raw(tmp_path)


def test_a_damaged_header_is_not_the_end(tmp_path):
    put(tmp_path, "x.tar", tar_bytes(CLIPS, "w").replace(b"dia0_utt1", b"dia0_utt7"))
    with pytest.raises(Fault, match=r"broken or truncated archive \(bad checksum\)"):
        list_raw(tmp_path)


def test_an_inner_zip_archive_too_large_for_the_memory_stays_shut(tmp_path, monkeypatch):
    monkeypatch.setattr("data_build.reading.archives.INNER_ZIP", 100)
    put(tmp_path, "m.zip", zip_bytes(NESTED))
    assert "m.zip!MELD.Raw/more.zip" in {file.name for file in list_raw(tmp_path)}


def test_links_in_archives_are_passed_over_and_names_are_only_names(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        for name in ("../up.txt", "/etc/up.txt"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../up.txt", "")
    assert [file.name for file in list_raw(tmp_path)] == ["a.tar!../up.txt", "a.tar!/etc/up.txt", "b.zip!../up.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "b.zip"]


def test_a_link_out_of_the_folder_is_passed_over_with_a_message(tmp_path, capsys):
    put(tmp_path, "elsewhere/x.txt", "secret")
    root = tmp_path / "raw"
    put(root, "in/y.txt", "yes")
    (root / "x.txt").symlink_to(tmp_path / "elsewhere/x.txt")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root / "loop")
    (root / "z.txt").symlink_to("in/y.txt")
    assert [file.name for file in list_raw(root)] == ["in/y.txt", "z.txt"]
    said = capsys.readouterr().err
    assert f"{root / 'x.txt'}: a link to {tmp_path / 'elsewhere/x.txt'}, outside {root}; skipped" in said
    assert f"{root / 'folder'}: a link to" in said
    (tmp_path / "whole").symlink_to(root)
    assert len(list_raw(tmp_path / "whole")) == 2  # the corpus's folder may itself be a link


def test_a_tar_archive_is_listed_once_and_again_when_it_changes(tmp_path, monkeypatch):
    path, cache = put(tmp_path / "raw", "m.tar.gz", tar_bytes(NESTED)), tmp_path / "cache"
    zipped(tmp_path / "raw/z.zip", {"a.txt": "a"})
    files = list_raw(tmp_path / "raw", cache)
    assert files == list_raw(tmp_path / "raw") and len(list(cache.iterdir())) == 1
    listed = []
    monkeypatch.setattr(
        "data_build.reading.raw.list_members", lambda path: listed.append(path.name) or list_members(path)
    )
    assert list_raw(tmp_path / "raw", cache) == files and listed == ["z.zip"]
    put(tmp_path / "raw", "m.tar.gz", tar_bytes(CLIPS))
    os.utime(path, ns=(1, 1))
    assert len(list_raw(tmp_path / "raw", cache)) == 3 and "m.tar.gz" in listed


def test_text_out_of_a_tar_archive(tmp_path):
    """Tables are read line by line with io.TextIOWrapper, which does not work with Python 3.11's tar members."""
    inner = io.BytesIO("ü\nb\n".encode())
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("t.tsv")
        info.size = len(inner.getvalue())
        archive.addfile(info, inner)
    (file,) = list_raw(tmp_path)
    with file.open() as data:
        assert list(io.TextIOWrapper(data, "utf-8")) == ["ü\n", "b\n"]
