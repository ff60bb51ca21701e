"""The outcome of a rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

NAMES_SHOWN = 3
NOTHING_LEFT_LOSS = 0.01
"""A training loss below which gradients are small because everything is learnt."""


class Status(StrEnum):
    """`RuleEvaluationStatus` of SageMaker, and NotEvaluated, which is ours."""

    ISSUES_FOUND = "IssuesFound"
    NO_ISSUES_FOUND = "NoIssuesFound"
    NOT_EVALUATED = "NotEvaluated"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one rule, in words that need no knowledge of SageMaker."""

    rule: str
    """SageMaker Debugger's name of the rule."""
    status: Status
    question: str
    """The question that the rule answers."""
    answer: str
    """The measurement, or the reason why it was not evaluated."""
    advice: str = ""
    """What to do; empty without an issue."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """The rule's thresholds, by SageMaker's names."""


@dataclass(frozen=True, slots=True)
class Question:
    """The question of a rule, which makes the rule's findings."""

    rule: str
    question: str
    parameters: Mapping[str, float]

    @classmethod
    def of(cls, rule: object, question: str) -> Question:
        """The question of `rule`, a dataclass whose fields are its parameters."""
        return cls(type(rule).__name__, question, asdict(rule))  # type: ignore[call-overload]

    def issue(self, answer: str, advice: str) -> Finding:
        return self._finding(Status.ISSUES_FOUND, answer, advice)

    def fine(self, answer: str) -> Finding:
        return self._finding(Status.NO_ISSUES_FOUND, answer)

    def open(self, reason: str) -> Finding:
        """The finding that the rule could not be evaluated, and why."""
        return self._finding(Status.NOT_EVALUATED, reason)

    def _finding(self, status: Status, answer: str, advice: str = "") -> Finding:
        return Finding(self.rule, status, self.question, answer, advice, self.parameters)


def by_layer(values: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    """Groups the values of tensors, by name, by the layers that they belong to."""
    layers: dict[str, list[float]] = defaultdict(list)
    for name, value in values:
        layers[name.rpartition(".")[0]].append(value)
    return layers


def listed(names: Sequence[str]) -> str:
    """The first NAMES_SHOWN of the names, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
