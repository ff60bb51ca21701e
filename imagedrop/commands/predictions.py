"""``imagedrop predictions``: the table's rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from imagedrop.errors import UserError
from imagedrop.output import TargetOption, console
from imagedrop.render import Format, print_records
from imagedrop.target import Target, TargetName, find_target
from imagedrop.uploads import INCOMING_PREFIX
from pipeline.adapters.predictions_table import Query
from pipeline.records import Record, Status

TABLE_ROWS = 50
EXPORT_PAGE_ROWS = 500

FormatOption = Annotated[Format, typer.Option("--format", help="How to print.")]


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
        str | None, typer.Option(help="UTC time, ISO 8601, or its beginning: 2026-11-24T06.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"At most so many; {TABLE_ROWS} in a table, else all."),
    ] = None,
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Print predictions, newest first."""
    found = find_target(target)
    if key is not None:
        record = find_record(found, key)
        print_records([record], format_)
        return
    query = Query(label=label, status=status_, min_confidence=min_confidence, since=since)
    most = limit or (TABLE_ROWS if format_ is Format.TABLE else sys.maxsize)
    count = print_records(every_record(found, query, most), format_)
    if count == 0:
        console.print("No predictions match.")
    elif limit is None and count == TABLE_ROWS and format_ is Format.TABLE:
        console.print(f"The newest {TABLE_ROWS}; more with --limit.")


def every_record(target: Target, query: Query, most: int) -> Iterator[Record]:
    table = target.predictions_table()
    cursor: str | None = None
    while most > 0:
        page = table.list(query, limit=min(most, EXPORT_PAGE_ROWS), cursor=cursor)
        yield from page.records
        most -= len(page.records)
        cursor = page.cursor
        if cursor is None:
            return


def find_record(target: Target, key: str) -> Record:
    address = f"s3://{target.images_bucket}/"
    table = target.predictions_table()
    bare = key.removeprefix(address)
    for each in dict.fromkeys((bare, INCOMING_PREFIX + bare)):
        record = table.get(key if key.startswith("s3://") else address + each)
        if record is not None:
            return record
    raise UserError(
        f"There is no prediction of {key}.", "List what there is with: imagedrop predictions"
    )
