"""What the command line tells the person in front of it."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right: what is wrong, and what to do next."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(problem)
        self.next_step = next_step
