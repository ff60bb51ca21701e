"""``imagedrop export``: write the rows that match to a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from imagedrop.app import command
from imagedrop.commands.filters import Filters, matching
from imagedrop.commands.options import options_of, takes
from imagedrop.errors import UserError
from imagedrop.exports import FileFormat, complete_file, counted, write_rows
from imagedrop.output import TargetOption, console, exit_on_interrupt, say
from imagedrop.target import find_target
from imagedrop.target_name import TargetName


@command("imagedrop export --since 7d --reviewed --output week.parquet")
@takes(options_of(Filters))
def export(
    *,
    format_: Annotated[
        FileFormat | None,
        typer.Option("--format", help="By the output's name, else CSV."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A file; it appears when it is complete.")
    ] = None,
    target: TargetOption = TargetName.LOCAL,
    **filters: Any,
) -> None:
    """Write the matching rows to a file, with people's reviews.

    It takes as little memory for a million rows as for one. A row that is answered again while it
    is exported may be missing with --sort newest, and appears twice with --sort oldest.
    """
    kind = format_ or _format_of(output)
    if kind is FileFormat.PARQUET and output is None:
        raise UserError("Parquet is not text.", "Name a file, such as --output rows.parquet")
    query = Filters(**filters).query()
    records = matching(find_target(target), query, sys.maxsize)
    if output is None:
        write_rows(records, kind, sys.stdout.buffer)
        return
    total = 0
    with exit_on_interrupt(f"Stopped; {output} was not written."), console.status("0 rows") as bar:

        def tell(count: int) -> None:
            nonlocal total
            total = count
            bar.update(f"{count:,} rows")

        with complete_file(output) as file:
            write_rows(counted(records, tell), kind, file)
    say(f"{total:,} rows in {output}, {output.stat().st_size:,} bytes.")


def _format_of(output: Path | None) -> FileFormat:
    suffix = output.suffix.removeprefix(".").lower() if output else ""
    return FileFormat(suffix) if suffix in list(FileFormat) else FileFormat.CSV
