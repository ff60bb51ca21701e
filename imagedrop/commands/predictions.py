"""``imagedrop predictions``: print the rows of the predictions table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from rich.table import Column

from imagedrop.output import (
    Format,
    FormatOption,
    JsonObject,
    Layout,
    TargetOption,
    print_items,
    say,
)
from imagedrop.predictions import every_record, find_record
from imagedrop.target import INCOMING_PREFIX, TargetName, find_target
from pipeline.queries import Query
from pipeline.records import FIELD_NAMES, Record, Status

TABLE_ROWS = 50
STYLES = {Status.CLASSIFIED: "", Status.REJECTED: "yellow", Status.DELETED: "dim"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: imagedrop predictions --label beagle --min-confidence 0.8 --format csv"
    )(predictions)


def predictions(
    key: Annotated[
        str | None, typer.Argument(help="One image: its key, or its name under incoming/.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Only this label.")] = None,
    status_: Annotated[Status | None, typer.Option("--status", case_sensitive=False)] = None,
    min_confidence: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    since: Annotated[
        str | None,
        typer.Option(help="UTC time in ISO 8601, or the beginning of one: 2026-11-24T06."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Maximum; by default {TABLE_ROWS} in a table, else all rows."),
    ] = None,
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Print predictions, newest first."""
    found = find_target(target)
    if key is not None:
        print_records([find_record(found, key)], format_)
        return
    query = Query(label=label, status=status_, min_confidence=min_confidence, since=since)
    most = limit or (TABLE_ROWS if format_ is Format.TABLE else sys.maxsize)
    count = print_records(every_record(found, query, most), format_)
    if count == 0:
        say("No predictions match.")
    elif limit is None and count == TABLE_ROWS and format_ is Format.TABLE:
        say(f"The newest {TABLE_ROWS}; show more with --limit.")


def print_records(records: Iterable[Record], format_: Format) -> int:
    """Prints predictions to standard output and returns how many there were."""
    return print_items(
        (each.to_json() for each in records),
        format_,
        Layout(
            fields=FIELD_NAMES,
            columns=(
                Column("image", overflow="fold", ratio=1),
                Column("status", no_wrap=True),
                Column("label, or reason", overflow="fold"),
                Column("confidence", justify="right", no_wrap=True),
                Column("image file", no_wrap=True),
            ),
            cells=_cells,
            style=lambda cells: STYLES[Status(cells[1])],
            to_csv=lambda row: (
                row | {"predictions": json.dumps(row["predictions"], ensure_ascii=False)}
            ),
        ),
    )


def _cells(row: JsonObject) -> Iterable[Sequence[str]]:
    yield (
        row["key"].removeprefix(INCOMING_PREFIX),
        row["status"],
        row["label"] or row["reason"] or "",
        "" if row["confidence"] is None else f"{row['confidence']:.3f}",
        f"{row['format']} {row['width']}x{row['height']}" if row["width"] else "",
    )
