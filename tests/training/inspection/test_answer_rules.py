"""Answers at the level of chance and confused labels are found, and few photos prove nothing."""

from __future__ import annotations

import pytest

from training.inspection.answer_rules import Answers, ChanceLevel, Confusion
from training.inspection.findings import Finding, Status
from training.watch.observations import Epoch, Observations
from training.watch.observer import EpochMetrics

LABELS = ("a", "b", "c")


def answers(right: int, count: int) -> Answers:
    """So many right of photos of three labels; the wrong ones are spread."""
    truth = tuple(place % 3 for place in range(count))
    predicted = tuple(
        each if place < right else (each + 1 + place % 2) % 3 for place, each in enumerate(truth)
    )
    return Answers(LABELS, truth, predicted)


def chance_level(found: Answers | None, last_loss: float = 0.01) -> Finding:
    metrics = EpochMetrics(2, "head", last_loss, 3.0, 0.3, 1.0, 0.1)
    return ChanceLevel()(Observations((), (), (Epoch(metrics, (1.1, last_loss)),), None), found)


@pytest.mark.parametrize(
    ("right", "count", "status"),
    [
        (10, 30, Status.ISSUES_FOUND),
        (14, 30, Status.ISSUES_FOUND),  # a probability of .09 by chance
        (15, 30, Status.NO_ISSUES_FOUND),  # .04
        (29, 30, Status.NO_ISSUES_FOUND),
        (0, 3, Status.NOT_EVALUATED),
    ],
)
def test_answers_must_be_better_than_chance(right: int, count: int, status: Status) -> None:
    assert chance_level(answers(right, count)).status is status


def test_chance_is_the_commonest_label() -> None:
    """Of 40 photos 36 have one label; naming it always is right for 90 %."""
    found = Answers(("a", "b"), (0,) * 36 + (1,) * 4, (0,) * 36 + (0,) * 4)

    finding = chance_level(found)

    assert finding.status is not Status.NO_ISSUES_FOUND
    assert chance_level(None).status is Status.NOT_EVALUATED


def test_cause_depends_on_whether_the_photos_were_learnt_by_heart() -> None:
    memorised, ignorant = chance_level(answers(10, 30)), chance_level(answers(10, 30), 1.09)

    assert "do not belong to the photos" in memorised.advice
    assert "10 of 30" in memorised.answer
    assert "95 %: 19.2 to 51.2" in memorised.answer
    assert "another learning rate" in ignorant.advice


def confused(photos: int, taken: int) -> Answers:
    """`taken` of the photos of a are named b; all others are right."""
    truth = (0,) * photos + (1,) * photos
    return Answers(("a", "b"), truth, (1,) * taken + truth[taken:])


@pytest.mark.parametrize(
    ("photos", "taken", "status"),
    [
        (40, 0, Status.NO_ISSUES_FOUND),
        (40, 4, Status.NO_ISSUES_FOUND),
        (40, 12, Status.ISSUES_FOUND),
        (3, 1, Status.NO_ISSUES_FOUND),  # a third of three photos proves nothing
        (2, 2, Status.NO_ISSUES_FOUND),  # nor do two of two
    ],
)
def test_confused_labels_are_found(photos: int, taken: int, status: Status) -> None:
    finding = Confusion()(confused(photos, taken))

    assert finding.status is status, finding.answer
    if status is Status.ISSUES_FOUND:
        assert "a for b (12 of 52)" in finding.answer
        assert "a (28 of 40 right)" in finding.answer


def test_without_answers_nothing_is_said() -> None:
    assert Confusion()(None).status is Status.NOT_EVALUATED
