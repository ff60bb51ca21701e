"""Prints a list of jobs."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Column

from imagedrop.output import Format, JsonObject, Layout, print_items

FIELDS = ("job", "kind", "status", "created_at")
MINUTES = len("2026-11-29T13:05")


def print_jobs(rows: Iterable[JsonObject], format_: Format) -> None:
    """Prints jobs to standard output; the time of the table is UTC."""
    layout = Layout(
        fields=FIELDS,
        columns=(
            Column("job", overflow="fold"),
            Column("kind", no_wrap=True),
            Column("status", no_wrap=True),
            Column("created", no_wrap=True),
        ),
        cells=lambda row: [
            (row["job"], row["kind"], row["status"], row["created_at"][:MINUTES].replace("T", " "))
        ],
        style=lambda cells: "yellow" if cells[2] in ("Failed", "Stopped") else "",
    )
    print_items(rows, format_, layout)
