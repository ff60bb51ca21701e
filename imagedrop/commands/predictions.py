"""``imagedrop predictions``: print the rows of the predictions table."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated

import typer
from rich.table import Column

from imagedrop.errors import UserError
from imagedrop.output import (
    Format,
    FormatOption,
    JsonObject,
    Layout,
    TargetOption,
    print_items,
    say,
)
from imagedrop.predictions import every_record, find_label, find_record
from imagedrop.target import INCOMING_PREFIX, Target, TargetName, find_target
from imagedrop.unicode_forms import shell_text
from pipeline.queries import Query
from pipeline.records import FIELD_NAMES, Record, Status
from pipeline.since import InvalidTimeError, parse_since

TABLE_ROWS = 50
STYLES = {Status.CLASSIFIED: "", Status.REJECTED: "yellow", Status.DELETED: "dim"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: imagedrop predictions --label beagle --min-confidence 0.8 --format csv"
    )(predictions)


def _refuse_nan(value: float | None) -> float | None:
    """Refuses NaN, which passes every range check and matches no row."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("it must be a number from 0 to 1")
    return value


def predictions(
    key: Annotated[
        str | None, typer.Argument(help="One image: its key, or its name under incoming/.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Only this label.")] = None,
    status_: Annotated[Status | None, typer.Option("--status", case_sensitive=False)] = None,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, callback=_refuse_nan)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="A time (2026-11-24, 2026-11-24 06:30; UTC unless it names an offset), a span "
            "(30m, 2h, 7d, 1w), today or yesterday."
        ),
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
        if (label, status_, min_confidence, since) != (None,) * 4:
            raise UserError(
                "A key names one image, so filters have no effect.",
                "Give a key or filters, not both.",
            )
        _print_one(found, key, format_)
        return
    query = Query(label=label, status=status_, min_confidence=min_confidence, since=_moment(since))
    most = limit or (TABLE_ROWS if format_ is Format.TABLE else sys.maxsize)
    count = print_records(_matching(found, query, most), format_)
    if count == 0:
        say("No predictions match.")
    elif limit is None and count == TABLE_ROWS and format_ is Format.TABLE:
        say(f"The newest {TABLE_ROWS}; show more with --limit.")


def _print_one(target: Target, key: str, format_: Format) -> None:
    found = find_record(target, key)
    print_records([found.record], format_)
    for twin in found.twins:
        say(
            f"Another image has this name in another Unicode form: {shell_text(twin.key)}. "
            f"This is {shell_text(found.record.key)}."
        )


def _matching(target: Target, query: Query, limit: int) -> Iterable[Record]:
    """Returns the rows that match. A label without rows is looked up among the known labels."""
    rows = every_record(target, query, limit)
    first = next(rows, None)
    if first is not None:
        return chain([first], rows)
    if query.label is None:
        return ()
    label = find_label(target, query.label)
    if label == query.label:
        return ()
    say(f"There is no label {query.label}: this is {label}.")
    return every_record(target, replace(query, label=label), limit)


def _moment(since: str | None) -> str | None:
    """Returns the typed time in UTC, and prints it with its local time.

    Raises:
        UserError: it is not a time.
    """
    if since is None:
        return None
    try:
        taken = parse_since(since, datetime.now(UTC))
    except InvalidTimeError as error:
        raise UserError(
            f"--since: {error}.", "Read more with: imagedrop predictions --help"
        ) from error
    moment = datetime.fromisoformat(taken)
    local = moment.astimezone()
    here = f" ({local:%Y-%m-%d %H:%M:%S} here)" if local.utcoffset() else ""
    future = ", which is in the future" if moment > datetime.now(UTC) else ""
    say(f"Since {moment:%Y-%m-%d %H:%M:%S} UTC{here}{future}.")
    return taken


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


def _label(row: JsonObject) -> str:
    """Returns the label, or the reason; with the group where the label is none of the model's."""
    label = row["label"] or row["reason"] or ""
    own = {each["label"] for each in row["predictions"]}
    return f"{label} ({row['group']})" if row["group"] and label not in own else label


def _cells(row: JsonObject) -> Iterable[Sequence[str]]:
    yield (
        row["key"].removeprefix(INCOMING_PREFIX),
        row["status"],
        _label(row),
        "" if row["confidence"] is None else f"{row['confidence']:.3f}",
        f"{row['format']} {row['width']}x{row['height']}" if row["width"] else "",
    )
