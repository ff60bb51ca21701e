"""Errors that the user can correct."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from imagedrop.text import printable
from training.errors import TrainingError


class UserError(Exception):
    """A problem that the user can correct, with the next step. Both are safe to print."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(printable(problem))
        self.next_step = printable(next_step)


@contextmanager
def as_user_error() -> Iterator[None]:
    """Raises the `TrainingError` of a training as a `UserError`, which the command line prints."""
    try:
        yield
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error
