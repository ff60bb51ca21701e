"""The endpoint's answer to a batch, checked before anything is written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import NoExplanationError


@dataclass(frozen=True, slots=True)
class Prediction:
    """One label and its confidence, 0..1."""

    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's answer to one image: its verdict and the five best labels, best first.

    ``group`` is the level above the labels, where the model is sure of it.
    """

    label: str
    confidence: float
    predictions: tuple[Prediction, ...]
    model: str
    group: str | None = None


# Archives that were packaged before there were two do not name the first.
METHODS = ("class activation", "occlusion")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where the model looked for a label.

    Attributes:
        positions: rows of columns, what each position adds to the label's logit, or what covering
            it takes from the logarithm of the label's probability.
        model: the model that answered, ``name@version``.
        method: one of ``METHODS``.
    """

    positions: tuple[tuple[float, ...], ...]
    model: str
    method: str


class InvalidAnswerError(Exception):
    """The endpoint's answer breaks its contract: a bug, on one side or the other.

    ``answers`` has the valid answers in the order of the request, with None in place of each
    broken one. It is empty when it is unknown which answer belongs to which image.
    """

    def __init__(self, message: str, answers: Sequence[Answer | None] = ()) -> None:
        super().__init__(message)
        self.answers = answers


def parse_answers(body: bytes, expected_count: int) -> list[Answer]:
    """Parses and checks the answers, one per image, in the order of the request.

    Raises:
        InvalidAnswerError: a wrong count, a confidence that is not a number in 0..1, labels that
            are not text, or no JSON. The error holds the valid answers.
    """
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidAnswerError("the answer is not JSON") from error
    if not isinstance(entries, list) or len(entries) != expected_count:
        raise InvalidAnswerError(f"the answer does not hold {expected_count} entries")
    answers: list[Answer] = []
    whole: list[Answer | None] = []
    broken: InvalidAnswerError | None = None
    for entry in entries:
        try:
            answers.append(_parse_entry(entry))
            whole.append(answers[-1])
        except InvalidAnswerError as error:
            broken = error
            whole.append(None)
    if broken is not None:
        raise InvalidAnswerError(str(broken), whole)
    return answers


def parse_explanation(body: bytes) -> Explanation:
    """Parses and checks where the model looked.

    Raises:
        NoExplanationError: it is a list of predictions, as older archives answer.
        InvalidAnswerError: it is no map of finite numbers.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidAnswerError("the answer is not JSON") from error
    if isinstance(answer, list):
        raise NoExplanationError("this model was packaged before models had maps; promote it again")
    if not isinstance(answer, Mapping):
        raise InvalidAnswerError("the explanation is not an object")
    rows = answer.get("map")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise InvalidAnswerError("the explanation holds no map")
    positions = tuple(tuple(_logit(each) for each in row) for row in rows)
    if {len(row) for row in positions} != {len(positions[0]) or None}:
        raise InvalidAnswerError("the rows of the map are not equally long")
    method = answer.get("method", METHODS[0])
    if method not in METHODS:
        raise InvalidAnswerError("the explanation has an unknown method")
    return Explanation(positions, _text(answer, "model"), method)


def _logit(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidAnswerError(f"the map holds {value!r}")
    return float(value)


def _parse_entry(entry: object) -> Answer:
    if not isinstance(entry, Mapping):
        raise InvalidAnswerError("an entry of the answer is not an object")
    predictions = entry.get("predictions")
    if not isinstance(predictions, list) or not predictions:
        raise InvalidAnswerError("an entry of the answer holds no predictions")
    return Answer(
        label=_text(entry, "label"),
        confidence=_confidence(entry),
        predictions=tuple(
            Prediction(_text(each, "label"), _confidence(each)) for each in predictions
        ),
        model=_text(entry, "model"),
        group=None if entry.get("group") is None else _text(entry, "group"),
    )


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name) if isinstance(entry, Mapping) else None
    if not isinstance(value, str) or not value:
        raise InvalidAnswerError(f"an entry of the answer holds no {name}")
    return value


def _confidence(entry: Mapping[str, Any]) -> float:
    value = entry.get("confidence")
    # Written so that NaN, which Python's JSON parser accepts, fails the comparison too.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidAnswerError(f"a confidence is outside 0..1: {value!r}")
    return float(value)
