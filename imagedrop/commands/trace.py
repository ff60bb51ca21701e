"""``imagedrop trace``: print one image's history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Column

from imagedrop.app import command
from imagedrop.output import (
    Format,
    FormatOption,
    JsonObject,
    Layout,
    TargetOption,
    print_items,
    say,
)
from imagedrop.predictions import find_record
from imagedrop.target import find_target
from imagedrop.target_name import TargetName
from imagedrop.trace import trace_of


@command("imagedrop trace incoming/dog.jpg --format jsonl")
def trace(
    key: Annotated[str, typer.Argument(help="The image's key, or its name under incoming/.")],
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Print one image's history with times: model, upload, log lines, answer, review."""
    found = find_target(target)
    traced = trace_of(found, find_record(found, key).record)
    print_steps((dict(each) for each in traced.steps), format_)
    for gap in traced.gaps:
        say(f"Not known: {gap}.", "yellow")


def print_steps(steps: Iterable[JsonObject], format_: Format) -> None:
    """Prints an image's history to standard output."""
    layout = Layout(
        fields=("at", "what", "detail"),
        columns=(
            Column("at", no_wrap=True),
            Column("what", no_wrap=True),
            Column("detail", overflow="fold"),
        ),
        cells=lambda step: [(step["at"], step["what"], step["detail"])],
    )
    print_items(steps, format_, layout)
