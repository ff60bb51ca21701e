"""Output of all commands: data on standard output, messages for people on standard error.

Text from strangers (keys, labels, error messages) never reaches the terminal with its control
characters or as markup: every function here escapes what it prints.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, TextIO, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from imagedrop.target_name import TargetName
from imagedrop.text import printable

INTERRUPTED = 130  # exit code after Ctrl-C, as in shells: 128 + SIGINT

Item = TypeVar("Item")
JsonObject = dict[str, Any]

console = Console(stderr=True, highlight=False)

TargetOption = Annotated[
    TargetName,
    typer.Option("--target", help="Which stack to use; local never calls AWS.", show_default=True),
]


class Format(StrEnum):
    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="Output format.")]


def say(line: str, style: str = "") -> None:
    """Prints one line to standard error; long lines are not wrapped, so commands can be copied."""
    console.print(Text(printable(line), style), soft_wrap=True)


def progress() -> Progress:
    """Returns progress bars on standard error."""
    return Progress(
        TextColumn("{task.description:>11}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[..., None]]:
    """Shows a progress bar; gives what advances it, by one or by a number."""
    with progress() as bars:
        yield partial(bars.advance, bars.add_task(title, total=total))


def with_bar(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    """Yields the items, and advances a progress bar with each."""
    with bar(title, total) as advance:
        for each in items:
            yield each
            advance()


@contextmanager
def exit_on_interrupt(*lines: str) -> Iterator[None]:
    """Prints the lines when the user presses Ctrl-C in the block.

    Raises:
        typer.Exit: with the code INTERRUPTED, after Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        for line in lines:
            say(line)
        raise typer.Exit(INTERRUPTED) from None


def _plain(_cells: Sequence[str]) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The printed form of JSON objects of one kind.

    Attributes:
        fields: the columns of the CSV, by the names of an item's members.
        columns: the headings of the table.
        cells: makes the table's rows of an item.
        style: the style of a row, by its cells.
        to_csv: makes lists in an item one text.
    """

    fields: Sequence[str]
    columns: Sequence[Column]
    cells: Callable[[JsonObject], Iterable[Sequence[str]]]
    style: Callable[[Sequence[str]], str] = _plain
    to_csv: Callable[[JsonObject], JsonObject] = dict


def print_items(items: Iterable[JsonObject], format_: Format, layout: Layout) -> int:
    """Prints items to standard output and returns how many there were.

    JSON lines and CSV are printed as the items come, a table when all are there.
    """
    if format_ is Format.TABLE:
        found = list(items)
        rows = (row for each in found for row in layout.cells(each))
        print_table(layout.columns, rows, layout.style)
        return len(found)
    writer = csv.DictWriter(sys.stdout, layout.fields, extrasaction="ignore")
    if format_ is Format.CSV:
        writer.writeheader()
    count = 0
    for item in items:
        count += 1
        if format_ is Format.CSV:
            writer.writerow(layout.to_csv(item))
        else:
            print(json.dumps(item, ensure_ascii=False))
    return count


def write_csv(fields: Sequence[str], rows: Iterable[JsonObject], file: TextIO) -> None:
    """Writes a line of headings and a line a row to an open file."""
    writer = csv.DictWriter(file, fields)
    writer.writeheader()
    writer.writerows(rows)


def print_table(
    columns: Iterable[Column],
    rows: Iterable[Sequence[str]],
    style: Callable[[Sequence[str]], str] = _plain,
) -> None:
    """Prints a table to standard output; `style` returns the style of a row, by its cells."""
    table = Table(*columns, box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for cells in rows:
        table.add_row(*(Text(printable(each)) for each in cells), style=style(cells))
    Console().print(table)


def terminal_columns() -> int:
    """Returns the width of the terminal in characters: COLUMNS, or 80 where there is none."""
    return Console().width


def print_pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Prints names and values to standard output, a pair a line; long values are not wrapped."""
    pairs = [(printable(name), printable(value)) for name, value in rows]
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        line = Text.assemble((f"{name:{width + 2}}", "bold"), value)
        Console(highlight=False).print(line, soft_wrap=True)
