"""Standard error of a training: progress bars on a terminal only, and lines safe to print."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def tracked(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    """Yields the items, with a progress bar on standard error."""
    console = Console(stderr=True)
    return iter(track(items, title, total=total, console=console, disable=not console.is_terminal))


class PrintableFormatter(logging.Formatter):
    """Writes messages alone, and escapes control characters: names of files come from strangers."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Formats one line; a traceback after it keeps its lines."""
        text = record.getMessage()
        return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
