"""Records on the screen: a table for people, JSON lines and CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from imagedrop.text import printable
from imagedrop.uploads import INCOMING_PREFIX
from pipeline.records import FIELD_NAMES, Record, Status


class Format(StrEnum):
    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


STYLES = {Status.CLASSIFIED: "", Status.REJECTED: "yellow", Status.DELETED: "dim"}


def print_records(records: Iterable[Record], format_: Format) -> int:
    """Prints to standard output as the records come; how many there were."""
    if format_ is Format.TABLE:
        return _print_table(list(records))
    return _print_jsonl(records) if format_ is Format.JSONL else _print_csv(records)


def _print_jsonl(records: Iterable[Record]) -> int:
    count = 0
    for record in records:
        print(json.dumps(record.to_json(), ensure_ascii=False))
        count += 1
    return count


def _print_csv(records: Iterable[Record]) -> int:
    writer = csv.DictWriter(sys.stdout, FIELD_NAMES)
    writer.writeheader()
    count = 0
    for record in records:
        row = record.to_json()
        writer.writerow(row | {"predictions": json.dumps(row["predictions"], ensure_ascii=False)})
        count += 1
    return count


def _print_table(records: list[Record]) -> int:
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("image", overflow="fold", ratio=1)
    table.add_column("status", no_wrap=True)
    table.add_column("label, or reason", overflow="fold")
    table.add_column("confidence", justify="right", no_wrap=True)
    table.add_column("image file", no_wrap=True)
    for record in records:
        table.add_row(
            *(escape(printable(each)) for each in _cells(record)), style=STYLES[record.status]
        )
    Console().print(table)
    return len(records)


def print_costs(costs: Mapping[str, Mapping[str, float]]) -> None:
    """Dollars by what they are paid for; a column for each way of working."""
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    table.add_column("paid for")
    for way in costs:
        table.add_column(f"{way}, $", justify="right")
    for item in dict.fromkeys(item for each in costs.values() for item in each):
        table.add_row(item, *(_dollars(each.get(item)) for each in costs.values()))
    table.add_row("together", *(_dollars(sum(each.values())) for each in costs.values()))
    Console().print(table)


def _dollars(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def _cells(record: Record) -> tuple[str, ...]:
    return (
        record.key.removeprefix(INCOMING_PREFIX),
        record.status,
        record.label or record.reason or "",
        "" if record.confidence is None else f"{record.confidence:.3f}",
        f"{record.format} {record.width}x{record.height}" if record.width else "",
    )
