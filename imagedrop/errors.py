"""What the command line tells the person in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from training.errors import TrainingError


class UserError(Exception):
    """Something the user can put right: what is wrong, and what to do next."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.next_step = next_step


@contextmanager
def as_user_error() -> Iterator[None]:
    """Raises the `TrainingError` of a training as a `UserError`, which the command line prints."""
    try:
        yield
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error
