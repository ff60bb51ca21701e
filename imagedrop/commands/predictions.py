"""``imagedrop predictions``: print the rows of the predictions table."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.table import Column

from imagedrop.app import command
from imagedrop.commands.filters import Filters, matching
from imagedrop.commands.options import options_of, takes
from imagedrop.errors import UserError
from imagedrop.exports import COLUMNS, csv_row
from imagedrop.output import (
    Format,
    FormatOption,
    JsonObject,
    Layout,
    TargetOption,
    print_items,
    say,
    terminal_columns,
)
from imagedrop.predictions import find_record
from imagedrop.target import INCOMING_PREFIX, Target, find_target
from imagedrop.target_name import TargetName
from imagedrop.unicode_forms import shell_text
from pipeline.records import Record, Status

TABLE_ROWS = 50
WIDE_COLUMNS = 100
STYLES = {Status.CLASSIFIED: "", Status.REJECTED: "yellow", Status.DELETED: "dim"}


@command("imagedrop predictions --label beagle --min-confidence 0.8 --format csv")
@takes(options_of(Filters))
def predictions(
    key: Annotated[
        str | None, typer.Argument(help="One image: its key, or its name under incoming/.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"Maximum; by default {TABLE_ROWS} in a table, else all rows."),
    ] = None,
    *,
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
    **filters: Any,
) -> None:
    """Print predictions, newest first unless --sort says otherwise."""
    wanted = Filters(**filters)
    found = find_target(target)
    if key is not None:
        if wanted.are_given:
            raise UserError(
                "A key names one image, so filters have no effect.",
                "Give a key or filters, not both.",
            )
        _print_one(found, key, format_)
        return
    most = limit or (TABLE_ROWS if format_ is Format.TABLE else sys.maxsize)
    count = print_records(matching(found, wanted.query(), most), format_)
    if count == 0:
        say("No predictions match.")
    elif limit is None and count == TABLE_ROWS and format_ is Format.TABLE:
        say(f"The first {TABLE_ROWS}; show more with --limit.")


def _print_one(target: Target, key: str, format_: Format) -> None:
    found = find_record(target, key)
    print_records([found.record], format_)
    for twin in found.twins:
        say(
            f"Another image has this name in another Unicode form: {shell_text(twin.key)}. "
            f"This is {shell_text(found.record.key)}."
        )


def print_records(records: Iterable[Record], format_: Format) -> int:
    """Prints predictions to standard output and returns how many there were.

    A terminal narrower than WIDE_COLUMNS gets no column for the image file, so that names of
    images stay whole.
    """
    is_wide = terminal_columns() >= WIDE_COLUMNS
    return print_items(
        (csv_row(each) if format_ is Format.CSV else each.to_json() for each in records),
        format_,
        Layout(
            fields=COLUMNS,
            columns=(
                Column("image", overflow="fold"),
                Column("status", no_wrap=True),
                Column("label, or reason", overflow="fold"),
                Column("confidence", justify="right", no_wrap=True),
                *([Column("image file", no_wrap=True)] if is_wide else []),
            ),
            cells=_wide_cells if is_wide else _cells,
            style=lambda cells: STYLES[Status(cells[1])],
        ),
    )


def _label(row: JsonObject) -> str:
    """Returns the label, or the reason; for a doubtful label also the group and the nearest
    label."""
    label: str = row["label"] or row["reason"] or ""
    if not is_doubt(row):
        return label
    best = row["predictions"][0]
    beside = [*filter(None, [row["group"]]), f"nearest {best['label']} {best['confidence']:.2f}"]
    return f"{label} ({', '.join(beside)})"


def is_doubt(row: JsonObject) -> bool:
    """Whether the label stands for an unknown kind: ``unknown_dog``, ``unknown``. The gate's label
    (``not_a_dog``) does not count, because no label is near to such an image.
    """
    own = {each["label"] for each in row["predictions"]}
    says_unknown = re.match(r"unknown(_|$)", row["label"] or "") is not None
    return says_unknown and bool(own) and row["label"] not in own


def _cells(row: JsonObject) -> Iterable[Sequence[str]]:
    yield (
        row["key"].removeprefix(INCOMING_PREFIX),
        row["status"],
        _label(row),
        "" if row["confidence"] is None else f"{row['confidence']:.3f}",
    )


def _wide_cells(row: JsonObject) -> Iterable[Sequence[str]]:
    image_file = f"{row['format']} {row['width']}x{row['height']}" if row["width"] else ""
    for cells in _cells(row):
        yield (*cells, image_file)
