"""The command line's program, to which each file of `imagedrop.commands` adds its commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., None])

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def command(example: str, name: str | None = None) -> Callable[[Command], Command]:
    """Adds a command, by default under its function's name; `--help` ends with the example."""
    return app.command(name, epilog=f"Example: {example}")
