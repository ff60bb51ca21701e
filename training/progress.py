"""Progress bars, on a terminal only: the log of a job has one line per epoch instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def tracked(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    """Yields the items, with a progress bar on standard error."""
    console = Console(stderr=True)
    return iter(track(items, title, total=total, console=console, disable=not console.is_terminal))
