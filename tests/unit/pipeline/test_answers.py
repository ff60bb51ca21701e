from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.answers import Answer, InvalidAnswerError, Prediction, parse_answers

ENTRY: dict[str, Any] = {
    "label": "beagle",
    "confidence": 0.75,
    "predictions": [{"label": "beagle", "confidence": 0.75}, {"label": "basset", "confidence": 0}],
    "model": "dogs@1",
}


def test_an_answer_keeps_its_order_and_its_model() -> None:
    other = ENTRY | {"label": "basset"}
    first, second = parse_answers(json.dumps([ENTRY, other]).encode(), 2)
    assert first == Answer(
        "beagle", 0.75, (Prediction("beagle", 0.75), Prediction("basset", 0.0)), "dogs@1"
    )
    assert second.label == "basset"


def test_an_answer_may_name_the_group_that_the_model_is_sure_of() -> None:
    (answer,) = parse_answers(json.dumps([ENTRY | {"group": "scent_hounds"}]).encode(), 1)
    assert answer.group == "scent_hounds"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_count_than_asked_for_is_refused(count: int) -> None:
    with pytest.raises(InvalidAnswerError):
        parse_answers(json.dumps([ENTRY, ENTRY]).encode(), count)


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": float("nan")},
        {"confidence": float("inf")},
        {"confidence": -0.1},
        {"confidence": 1.1},
        {"confidence": True},
        {"confidence": "0.5"},
        {"confidence": None},
        {"label": ""},
        {"label": None},
        {"label": 3},
        {"model": None},
        {"group": ""},
        {"group": 3},
        {"predictions": []},
        {"predictions": None},
        {"predictions": ["beagle"]},
        {"predictions": [{"label": "beagle", "confidence": float("nan")}]},
        {"predictions": [{"confidence": 0.5}]},
    ],
)
def test_an_entry_that_breaks_the_contract_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidAnswerError):
        parse_answers(json.dumps([ENTRY | change]).encode(), 1)


@pytest.mark.parametrize("body", [b"", b"\xff", b"<html>", b"{}", b"[1]"])
def test_what_is_no_list_of_entries_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidAnswerError):
        parse_answers(body, 1)


def test_a_broken_entry_leaves_its_neighbours_their_answers() -> None:
    broken = ENTRY | {"confidence": float("nan")}
    with pytest.raises(InvalidAnswerError) as refusal:
        parse_answers(json.dumps([ENTRY, broken, ENTRY]).encode(), 3)
    first, none, last = refusal.value.answers
    assert first is not None
    assert (first.label, none, last) == ("beagle", None, first)


def test_a_wrong_count_gives_no_image_an_answer() -> None:
    with pytest.raises(InvalidAnswerError) as refusal:
        parse_answers(json.dumps([ENTRY]).encode(), 2)
    assert refusal.value.answers == ()


def test_nesting_without_end_is_refused_as_no_json() -> None:
    with pytest.raises(InvalidAnswerError):
        parse_answers(b"[" * 200_000, 1)
