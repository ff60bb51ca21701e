"""``imagedrop runs``: list trainings, searches, evaluations and inspections, and compare two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column

from imagedrop.app import app
from imagedrop.output import (
    Format,
    FormatOption,
    JsonObject,
    Layout,
    print_items,
    print_table,
    say,
)
from imagedrop.training_runs import Kind, Run, differing, find_run, runs_in, side_by_side
from training.tracking.run_folders import RUNS

runs = typer.Typer(
    help="List trainings, searches, evaluations and inspections, and compare two.",
    rich_markup_mode="rich",
)
app.add_typer(runs, name="runs")
FIELDS = (*("run", "kind", "model", "backbone", "data", "top1", "log_loss", "ece", "seconds"),)
HASH_DIGITS = 7  # as git shows; with more the table has no room for names
WITHOUT_RESULT = frozenset({Kind.FAILED, Kind.UNFINISHED})
FolderOption = Annotated[Path, typer.Option("--folder", help="The folder with the runs.")]


@runs.callback(
    invoke_without_command=True, epilog="Example: imagedrop runs; imagedrop runs --format csv"
)
def list_runs(
    context: typer.Context,
    folder: FolderOption = RUNS,
    format_: FormatOption = Format.TABLE,
) -> None:
    """List trainings, searches, evaluations and inspections, the latest last."""
    if context.invoked_subcommand is not None:
        return
    found = [each.to_json() for each in runs_in(folder)]
    if not found:
        say(f"There are no runs in {folder}. Start one with: imagedrop train --data FOLDER")
        return
    print_runs(found, format_)


@runs.command(epilog="Example: imagedrop runs compare dogs-20261129t130552 dogs-20261129t131007")
def compare(
    one: Annotated[str, typer.Argument(help="A run's name, or its folder.")],
    other: Annotated[str, typer.Argument(help="The other run's name or folder.")],
    folder: FolderOption = RUNS,
) -> None:
    """Show the settings that differ between two runs, and their results side by side."""
    first, second = find_run(one, folder), find_run(other, folder)
    print_comparison(first, second)


def print_comparison(first: Run, second: Run) -> None:
    """Prints the settings that differ, and all metrics, to standard output."""
    settings = list(differing(first, second))
    columns = [Column(name, overflow="fold") for name in ("", first.name, second.name)]
    print_table(columns, [*settings, ("", "", ""), *side_by_side(first, second)])
    if not settings:
        say("No setting differs.")


def print_runs(rows: Sequence[JsonObject], format_: Format) -> None:
    """Prints runs to standard output."""
    names = ("data", "top-1", "loss", "ECE", "s")
    layout = Layout(
        fields=FIELDS,
        columns=(
            Column("run", overflow="fold"),
            Column("backbone", overflow="fold"),
            *(Column(name, justify="right", no_wrap=True) for name in names),
        ),
        cells=_cells,
        style=lambda cells: "yellow" if cells[1] in WITHOUT_RESULT else "",
    )
    print_items(rows, format_, layout)


def _cells(row: JsonObject) -> Iterable[Sequence[str]]:
    measured = ("" if row[name] is None else f"{row[name]:.4f}" for name in FIELDS[5:8])
    without_result = row["kind"] in WITHOUT_RESULT
    yield (
        row["run"],
        row["kind"] if without_result else row["backbone"],
        row["data"][:HASH_DIGITS],
        *measured,
        "" if row["seconds"] is None else f"{row['seconds']:.0f}",
    )
