"""Rows of the predictions table as files: JSON lines, CSV, Parquet. Memory stays constant.

A file appears when it is complete: rows are written beside it, under another name.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, cast

from arro3.core import DataType, Field, Schema
from arro3.io import read_json, write_parquet

from imagedrop.errors import UserError
from imagedrop.output import write_csv
from pipeline.records import FIELD_NAMES, Record

_REVIEW = ("label", "by", "at", "action")
_CANDIDATE = ("label", "confidence", "model", "at")
# Each is null or an object in JSON, and four columns in a table.
COLUMNS = (
    *FIELD_NAMES[:-2],
    *(f"review_{name}" for name in _REVIEW),
    *(f"candidate_{name}" for name in _CANDIDATE),
)
# A cell that begins so is a formula in Excel, LibreOffice and Google Sheets:
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

# Arrow reads so many rows at a time, and a group of rows waits in memory until it is written.
_BATCH_ROWS = 2_000
_GROUP_ROWS = 20_000

_TEXT = DataType.string()
_TIME = DataType.timestamp("ms", tz="UTC")
_BEST = DataType.struct([Field("label", _TEXT), Field("confidence", DataType.float64())])
# Confidences are decimals of six digits in the table, and doubles here and in JSON: a double holds
# 15 digits, so it prints as the same six.
_TYPES = {
    "confidence": DataType.float64(),
    "predictions": DataType.list(Field("item", _BEST)),
    "width": DataType.int32(),
    "height": DataType.int32(),
    "bytes": DataType.int64(),
    "received_at": _TIME,
    "classified_at": _TIME,
    "review_at": _TIME,
    "candidate_confidence": DataType.float64(),
    "candidate_at": _TIME,
}
SCHEMA = Schema([Field(name, _TYPES.get(name, _TEXT)) for name in COLUMNS])


class FileFormat(StrEnum):
    """The kinds of files."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def write_rows(records: Iterable[Record], format_: FileFormat, output: IO[bytes]) -> None:
    """Writes every record to an open file, which stays open."""
    {
        FileFormat.CSV: _write_csv,
        FileFormat.JSONL: _write_jsonl,
        FileFormat.PARQUET: _write_parquet,
    }[format_](records, output)


def flat(record: Record) -> dict[str, Any]:
    """Returns a record as the columns of a table."""
    row = record.to_json()
    for beside, names in (("review", _REVIEW), ("candidate", _CANDIDATE)):
        given = row.pop(beside) or {}
        row |= {f"{beside}_{name}": given.get(name) for name in names}
    return row


def csv_row(record: Record) -> dict[str, Any]:
    """Returns a record's cells. Text that a spreadsheet would run begins with an apostrophe."""
    row = flat(record)
    row["predictions"] = json.dumps(row["predictions"], ensure_ascii=False)
    return {name: _harmless(value) for name, value in row.items()}


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def _write_csv(records: Iterable[Record], output: IO[bytes]) -> None:
    text = io.TextIOWrapper(output, "utf-8", errors="backslashreplace", newline="")
    try:
        write_csv(COLUMNS, (csv_row(each) for each in records), text)
        text.flush()
    finally:
        text.detach()


def _write_jsonl(records: Iterable[Record], output: IO[bytes]) -> None:
    output.writelines(_json_line(each.to_json()) for each in records)


def _json_line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def _write_parquet(records: Iterable[Record], output: IO[bytes]) -> None:
    lines = _Lines(_json_line(flat(each)) for each in records)
    try:
        rows = read_json(cast(IO[bytes], lines), SCHEMA, batch_size=_BATCH_ROWS)
        write_parquet(rows, output, compression="zstd(3)", max_row_group_size=_GROUP_ROWS)
    except Exception as error:  # noqa: BLE001 - raised again
        # Arrow turns every exception during its reading, Ctrl-C too, into an Arrow error.
        raise lines.error or error from None


class _Lines(io.RawIOBase):
    """Lines as a file to read from."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = b""
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            while len(self._rest) < size:
                self._rest += next(self._lines)
        except StopIteration:
            pass
        except BaseException as error:
            self.error = error
            raise
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


@contextmanager
def complete_file(path: Path) -> Iterator[IO[bytes]]:
    """Yields a file to write; it gets its name at the end, and is deleted after an error.

    Raises:
        UserError: there is a folder, a device or a pipe of this name.
        OSError: the disk refuses.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a file.", "Give the name of a file for --output.")
    path = path.resolve()  # the file behind a link, not the link
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as output:
            yield output
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def counted(records: Iterable[Record], tell: Callable[[int], None]) -> Iterator[Record]:
    """Yields the records, and reports their number, every hundred and at the end."""
    count = 0
    for each in records:
        yield each
        count += 1
        if count % 100 == 0:
            tell(count)
    tell(count)
