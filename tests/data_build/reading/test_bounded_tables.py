"""Tables in other programs' formats (.xlsx, .mat, JSON, Parquet) are read within limits, or refused with a message."""

import io
import json
import struct
import zipfile
import zlib
from random import Random

import polars as pl
import pytest
from openpyxl import Workbook
from scipy.io import savemat

from data_build.corpora import ewect, mms
from data_build.reading.corpus import Bad, Example, batched
from data_build.reading.matlab import load_variables
from data_build.reading.raw import RawFile, list_raw
from data_build.reading.spreadsheet import worksheets
from data_build.reading.unreadable import Unreadable
from mmafflm.errors import Fault
from tests.data_build.raw_rows import fault_of, put, read_all
from tests.fuzz.mutations import mutate


def file_of(root, name: str, data: bytes) -> RawFile:
    put(root, name, data)
    return next(file for file in list_raw(root) if file.name == name)


def workbook(*cells: tuple[int, int, object]) -> bytes:
    book, out = Workbook(), io.BytesIO()
    for row, column, value in cells:
        book.active.cell(row, column, value)
    book.save(out)
    return out.getvalue()


def test_a_far_cell_costs_nothing(tmp_path):
    data = workbook((1, 1, " a "), (1, 3, 0.1), (1_048_576, 16_384, "far"))
    ((first, last),) = worksheets(file_of(tmp_path, "x.xlsx", data))
    assert first == ("x.xlsx:Sheet!1", ["a", "", "0.1"])
    assert (last.source, len(last.fields), last.fields[-1]) == ("x.xlsx:Sheet!1048576", 16_384, "far")


def rewritten(data: bytes, member: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, content if info.filename == member else old.read(info))
    return out.getvalue()


def sheet_of(rows: str) -> bytes:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'.encode()


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (
            '<row r="2000000000"><c r="A2000000000"><v>1</v></c></row>',
            "more than 1,048,576 rows, or more than 20,000,000 cells in all, is not read",
        ),
        (
            '<row><c r="XFD1"><v>1</v></c></row>' * 2000,
            "more than 1,048,576 rows, or more than 20,000,000 cells in all, is not read",
        ),
        ('<row r="1"><c r="A1"><v>1</v>', "cannot be read as .xlsx"),
        ("<x>" * 100_000, "cannot be read as .xlsx"),
    ],
)
def test_a_sheet_without_an_end_is_refused(tmp_path, rows, why):
    data = rewritten(workbook((1, 1, "a")), "xl/worksheets/sheet1.xml", sheet_of(rows))
    with pytest.raises(Unreadable) as fault:
        worksheets(file_of(tmp_path, "x.xlsx", data))
    assert why in str(fault.value) and str(fault.value).endswith("Save the table as .csv in UTF-8.")


def test_a_workbook_that_unpacks_to_too_much_is_refused_unread(tmp_path):
    data = rewritten(workbook((1, 1, "a")), "xl/worksheets/sheet1.xml", b" " * (65 << 20))
    with pytest.raises(Unreadable, match=r"x\.xlsx: its tables are 68\.\d MB unpacked, and at most 67\.1 MB are read"):
        worksheets(file_of(tmp_path, "x.xlsx", data))


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_workbook_is_read_or_refused(tmp_path, seed):
    random, whole = Random(seed), workbook(*((row, column, row) for row in range(1, 20) for column in range(1, 5)))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(30):
        name = random.choice(sorted(members))
        damaged = mutate(whole, random, members)[0]
        inside = rewritten(whole, name, mutate(members[name], random, members)[0])
        for data in (damaged, inside):
            try:
                worksheets(file_of(tmp_path, "x.xlsx", data))
            except Unreadable:
                continue


def mat_of(dims: tuple[int, int]) -> bytes:
    """A .mat of a few bytes; its only variable is a cell array of so many cells."""
    name = struct.pack("<II", 1, 5) + b"train" + bytes(3)
    flags, shape = struct.pack("<IIII", 6, 8, 1, 0), struct.pack("<IIii", 5, 8, *dims)
    body = flags + shape + name
    element = zlib.compress(struct.pack("<II", 14, len(body)) + body)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
    return head + struct.pack("<II", 15, len(element)) + element


def test_a_mat_that_asks_for_more_memory_than_there_is_is_refused(tmp_path):
    with pytest.raises(Unreadable, match=r"x\.mat: cannot be read as a \.mat of MATLAB 5 \(it needs more than 6 GiB"):
        load_variables(file_of(tmp_path, "x.mat", mat_of((40_000, 40_000))), "train")


def test_a_damaged_mat_is_read_or_refused(tmp_path):
    out = io.BytesIO()
    savemat(out, {"train": {"a": [1, 2, 3], "b": "text"}}, do_compression=True)
    random = Random(1)
    for _ in range(3):
        try:
            load_variables(file_of(tmp_path, "x.mat", mutate(out.getvalue(), random, {"": b"x"})[0]), "train")
        except Unreadable:
            continue


def post(**changes: object) -> str:
    return json.dumps({"id": 1, "content": "好", "label": "happy", **changes})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (post(id=2, content="\ud83d half"), "text holds half a character (a lone surrogate)"),
        (post(id=2, label="\ud83d"), "label is not in the label set"),
        (post(id=0).replace("0", "9" * 5000), "id of more than 100 characters"),
        ('{"id": ' + "[" * 800 + "]" * 800 + "}", "row without an id, a content or a label"),
        (post(id=1), "duplicate id"),
    ],
)
def test_an_odd_row_of_json_goes_to_the_quarantine_and_can_be_written(tmp_path, row, reason):
    put(tmp_path, "usual_train.txt", f"[{post()}, {row}]")
    read = read_all(ewect.CORPUS, tmp_path)
    assert read.reasons == [reason] and read.texts == ["好"]
    json.dumps(read.bad, ensure_ascii=False).encode()


def test_an_id_of_half_a_character_is_escaped(tmp_path):
    put(tmp_path, "usual_train.txt", f"[{post(id=chr(0xD83D))}]")
    (row,) = read_all(ewect.CORPUS, tmp_path).examples
    assert row["source"] == r"usual_train.txt:id=\ud83d"


def test_json_that_never_ends_is_a_sentence(tmp_path):
    put(tmp_path, "usual_train.txt", "[" * 100_000)
    assert "ewect: usual_train.txt: JSON nested too deep" in fault_of(ewect.CORPUS, tmp_path)


def test_what_no_file_can_hold_is_no_row():
    half = Example("XED", "ec", "en", None, ["joy"], "a\udc80", "x\udc80:1")
    (rows,) = batched([half, Bad("y\ud800", "reason", "\udfff")])
    assert rows.examples.height == 0
    assert rows.bad["source"].to_list() == [r"x\udc80:1", r"y\ud800"]


def parquet(**columns: object) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(columns).write_parquet(out)
    return out.getvalue()


@pytest.mark.parametrize("label", [[[1]], [b"\xff"]])
def test_a_column_of_another_type_is_a_sentence(tmp_path, label):
    put(tmp_path, "a.parquet", parquet(label=label, text=["x"], language=["en"]))
    assert "mms: a.parquet: cannot be read" in fault_of(mms.CORPUS, tmp_path)


def test_more_rows_than_a_shard_may_have(tmp_path, monkeypatch):
    monkeypatch.setattr(mms, "MOST_ROWS", 2)
    put(tmp_path, "a.parquet", parquet(label=[0, 1, 2], text=["x", "y", "z"], language=["en"] * 3))
    assert "a.parquet: 3 rows, but at most 2 can be read" in fault_of(mms.CORPUS, tmp_path)


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_shard_is_read_or_refused(tmp_path, seed):
    whole, random = parquet(label=[0, 1, 2] * 50, text=["some text"] * 150, language=["en"] * 150), Random(seed)
    for number in range(40):
        root = tmp_path / str(number)
        put(root, random.choice(("a.parquet", "a.arrow")), mutate(whole, random, {"": whole})[0])
        try:
            read_all(mms.CORPUS, root)
        except Fault:
            continue
