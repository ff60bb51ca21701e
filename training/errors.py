"""The error that a training shows to its user."""

from __future__ import annotations


class TrainingError(Exception):
    """A problem that the user can correct, and the next step."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem} {next_step}")
        self.problem = problem
        self.next_step = next_step
