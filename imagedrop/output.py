"""What every command shares: the stream to people, progress bars, the choice of a cloud."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from imagedrop.target import TargetName

# Everything said to people goes to standard error, so that standard output is only data.
console = Console(stderr=True)

TargetOption = Annotated[
    TargetName, typer.Option("--target", help="local never talks to AWS.", show_default=True)
]


def progress() -> Progress:
    return Progress(
        TextColumn("{task.description:>11}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
