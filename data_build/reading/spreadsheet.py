"""Read the cells of the worksheets of an .xlsx file. A file beyond the limits below is refused."""

import io
import warnings
import zipfile
from typing import NamedTuple

from data_build.reading.raw import RawFile
from data_build.reading.unreadable import Unreadable, size_text

PACKED = 64 << 20  # most bytes of the file; CFAPS's sheet has a row for each of 870 pictures, so some 50 kB
XML = 64 << 20  # most bytes of everything in it except pictures, unpacked
ROWS = 1 << 20  # Excel's own limit
CELLS = 20_000_000  # most cells of a workbook, including empty cells before the last cell of a row


class SheetRow(NamedTuple):
    """One row that is not empty: its position, and its cells without white space at both ends."""

    source: str  # FILE:SHEET!ROW
    fields: list[str]


def worksheets(file: RawFile) -> list[list[SheetRow]]:
    """For each worksheet, every row that is not empty; a number is written as by Python's str().

    Raises Unreadable when the file is not an .xlsx or holds more than the limits above.
    """
    content = io.BytesIO(file.read(PACKED))
    with warnings.catch_warnings(action="ignore"):  # openpyxl warns of what it leaves out, such as a style
        try:
            with zipfile.ZipFile(content) as archive:
                size = sum(one.file_size for one in archive.infolist() if not one.filename.startswith("xl/media/"))
            if size > XML:
                raise _refused(
                    file, f"its tables are {size_text(size)} unpacked, and at most {size_text(XML)} are read"
                )
            return _read(file, content)
        except Unreadable:
            raise
        except Exception as error:  # a damaged file can make openpyxl raise anything
            what = " ".join(f"{type(error).__name__}: {error}".split())
            raise _refused(file, f"cannot be read as .xlsx ({what[:200]})") from None


def _refused(file: RawFile, why: str) -> Unreadable:
    return Unreadable(file.name, why, "Save the table as .csv in UTF-8.")


def _read(file: RawFile, content: io.BytesIO) -> list[list[SheetRow]]:
    from openpyxl import load_workbook  # the import takes a quarter of a second, and only this reader needs it

    # Without read_only, openpyxl makes a cell for every position up to the last one, which may be XFD1048576, and opens
    # pictures.
    book = load_workbook(content, read_only=True, data_only=True, keep_links=False)
    found: list[list[SheetRow]] = []
    cells = 0
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # otherwise every row is filled up to the last column
        rows: list[SheetRow] = []
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            cells += len(row)
            if number > ROWS or cells > CELLS:
                raise _refused(
                    file, f"a sheet of more than {ROWS:,} rows, or more than {CELLS:,} cells in all, is not read"
                )
            fields = ["" if cell is None else str(cell).strip() for cell in row]
            if any(fields):
                rows.append(SheetRow(f"{file.name}:{sheet.title}!{number}", fields))
        found.append(rows)
    return found
