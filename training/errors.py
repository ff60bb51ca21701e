"""What a training says to the person who started it."""

from __future__ import annotations


class TrainingError(Exception):
    """Something that person can put right: what is wrong, and what to do next."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem} {next_step}")
        self.problem = problem
        self.next_step = next_step
