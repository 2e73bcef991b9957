"""Writing to a file, a path below a file, /proc or a full disk fails with a message and leaves nothing behind."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mmafflm.errors import Fault
from mmafflm.files.writing import make_folder, refusal, writing
from mmafflm.records import append_jsonl, read_jsonl, replacing, write_jsonl, write_text
from tests.eval.tiny_tests import make_tests

FULL_DISK = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(params=["a file", "below a file", "proc", "far below a file"])
def nowhere(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path where no folder can be made."""
    (tmp_path / "file").write_text("mine")
    return {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file/out",
        "proc": Path("/proc/out"),
        "far below a file": tmp_path / "file/a/b/c",
    }[str(request.param)]


def test_a_folder_that_cannot_be_made_is_named(nowhere: Path) -> None:
    with pytest.raises(Fault, match=f"{nowhere}: cannot be written"):
        make_folder(nowhere)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, "x"),
        lambda path: write_jsonl(path, [{}]),
        lambda path: append_jsonl(path, [{}]),
    ],
)
def test_a_file_that_cannot_be_written_is_named(write: Callable[[Path], object], nowhere: Path) -> None:
    with pytest.raises(Fault, match="cannot be written"):
        write(nowhere / "x.jsonl")


def test_a_folder_in_the_place_of_the_file_stays(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(Fault, match="Is a directory"):
        write_text(tmp_path / "x.json", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_link_with_the_name_of_the_partial_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".x.json.partial").symlink_to(tmp_path / "mine")
    write_text(tmp_path / "x.json", "x")
    assert (tmp_path / "mine").read_text() == "mine" and (tmp_path / "x.json").read_text() == "x"


@pytest.mark.parametrize(
    "error",
    [
        FULL_DISK,
        OSError(errno.EDQUOT, "quota"),
        OSError(errno.EFBIG, "too big"),
        pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_in_the_block_names_the_path_and_leaves_nothing(error: Exception, tmp_path: Path) -> None:
    write_text(tmp_path / "x.json", "before")
    with pytest.raises(Fault, match=rf"{tmp_path / 'x.json'}: .*MB are free there"), replacing(tmp_path / "x.json"):
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"] and (tmp_path / "x.json").read_text() == "before"


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone", "raw.csv"), PermissionError(13, "no", "raw.csv"),
                                   ZeroDivisionError()])  # fmt: skip
def test_what_else_happens_in_the_block_keeps_its_name(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as raised, replacing(tmp_path / "x.json"):
        raise error
    assert raised.value is error and not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["fsync", "flush", "replace"])
def test_a_full_disk_at_the_end_of_a_file(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if call == "flush":
        monkeypatch.setattr("mmafflm.records.os.fsync", _full)
    else:
        monkeypatch.setattr(*{"fsync": (os, "fsync", _full), "replace": (Path, "replace", _full)}[call])
    with pytest.raises(Fault, match="No space left on device"):
        write_text(tmp_path / "x.json", "x" * 100)
    assert not list(tmp_path.iterdir())


def _full(*_: object) -> None:
    raise FULL_DISK


def test_what_could_not_be_appended_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jsonl"
    append_jsonl(path, [{"a": 1}])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", _full)
        with pytest.raises(Fault, match="No space left on device"):
            append_jsonl(path, [{"a": 2}])
    append_jsonl(path, [{"a": 3}])
    assert list(read_jsonl(path)) == [{"a": 1}, {"a": 3}]


NO_LARGE_FILES = """
import resource, signal, sys
from pathlib import Path
import polars as pl
from mmafflm.errors import Fault
from mmafflm.records import append_jsonl, replacing, write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
def parquet(path):
    table = pl.DataFrame({"a": [str(n) * 9 for n in range(99_999)]})
    with replacing(path) as out:
        table.write_parquet(out, compression="uncompressed")
path, told = Path(sys.argv[1]) / "out", []
for write in (lambda path: write_text(path, "x" * 99_999), parquet, lambda path: append_jsonl(path, ["x" * 99_999])):
    try:
        write(path)
    except Fault as fault:
        told.append(str(fault))
    print([one.name for one in path.parent.iterdir()], path.exists() and path.stat().st_size)
print(*told, sep="\\n")
"""


def test_a_file_that_may_not_grow_is_a_sentence(tmp_path: Path) -> None:
    """A real error of the system: a limit on the size of files, in a separate process."""
    done = subprocess.run(
        [sys.executable, "-c", NO_LARGE_FILES, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert done.stderr == ""
    *left, first, second, third = done.stdout.splitlines()
    assert left == ["[] False", "[] False", "['out'] 0"]
    assert all(f"{tmp_path / 'out'}: " in one and "Free some space" in one for one in (first, second, third))


def test_other_errors_have_no_sentence() -> None:
    assert refusal(ZeroDivisionError()) is None
    assert refusal(FileNotFoundError(2, "No such file", "a.py")) is None, "a bug remains a traceback"
    assert refusal(ConnectionRefusedError(111, "refused")) is None
    with pytest.raises(ZeroDivisionError), writing(Path("x")):
        raise ZeroDivisionError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_tests(tmp_path / "data", {"XED": 3, "onlineshopping": 3}).path


COMMANDS = {
    "samples": ("data_build", "samples", "--subsets", "XED", "--out"),
    "build": ("data_build", "build", "--raw", "{raw}", "--subsets", "onlineshopping", "--jobs", "1", "--out"),
    "export": ("data_build", "export", "--data", "{data}", "--form", "sharegpt", "--out"),
    "tars": ("data_build", "export", "--data", "{data}", "--form", "webdataset", "--out"),
    "leaks": ("data_build", "leaks", "--data", "{data}", "--out"),
    "standin": ("mmafflm", "standin", "nano", "--out"),
    "export-model": ("mmafflm", "export", "{data}", "--out"),
    "score": ("eval", "score", "--data", "{data}"),
    "browse": ("eval", "browse", "--data", "{data}"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_out_where_nothing_can_be_is_a_sentence(
    name: str, nowhere: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "build":
        from data_build.samples import write_samples

        write_samples(data.parent / "raw", only={"onlineshopping"})
    module, *words = COMMANDS[name]
    words = [word.format(data=data, raw=data.parent / "raw") for word in words]
    monkeypatch.setattr(sys, "argv", [module, *words, str(nowhere)])
    import data_build.cli
    import eval.cli
    import mmafflm.cli

    mains = {"data_build": data_build.cli.main, "mmafflm": mmafflm.cli.main, "eval": eval.cli.main}
    with pytest.raises(SystemExit) as ended:
        mains[module]()
    said = capsys.readouterr().err
    assert ended.value.code in (1, 2) and str(data if name == "export-model" else nowhere) in said
    assert "Traceback" not in said
    if nowhere.is_file():
        assert nowhere.read_text() == "mine"
