"""In every order of events, a review stays with the version that was reviewed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.adapters.reviews_table import ReviewsTable
from pipeline.errors import TransientError
from pipeline.events import NO_SEQUENCER, Change, ImageRef
from pipeline.records import Record, Review, Status
from pipeline.review import Action, ReviewConflictError, ReviewRequest
from tests.cases import cases
from tests.unit.exactness.test_erased_versions import IMAGE, History, OneRow, record_of

AT = "2026-11-24T08:00:00.000Z"
CORRECTION = Review("akita", "ann", AT, "correct")


class Told:
    """A row to which things happen; remembers the versions whose correction was accepted."""

    def __init__(self, history: History) -> None:
        self.client: Any = OneRow()
        self.history, self.table = history, PredictionsTable(self.client, "t")
        self.corrected: set[str] = set()
        self.gone: set[str] = set()  # an image may be read until its erasure is delivered

    def happen(self, what: tuple[str, int]) -> None:
        kind, place = what
        ref = self.history.events[place]
        if kind == "event":
            self._event(ref)
        elif kind == "another model":
            self._answer_again(ref)
        elif kind == "correct":
            self._correct(ref.version)

    def _event(self, ref: ImageRef) -> None:
        if ref.change is Change.REMOVED:
            self.gone |= {ref.version} if ref.version_removed else set()
            self.table.write(records.deleted(ref, "now"), ref)
            return
        record = record_of(ref, ref.version not in self.gone)
        try:
            self.table.write(record, ref)
        except TransientError:
            self.table.write(record_of(ref, found=False), ref)

    def _answer_again(self, ref: ImageRef) -> None:
        """A bulk run with another model over the version, or over what was there when it began."""
        if ref.change is Change.REMOVED or ref.version in self.gone:
            return
        record = replace(record_of(ref, found=True), label="chow", model="dogs@2")
        self.table.write_listed(record, replace(ref, sequencer=NO_SEQUENCER))

    def _correct(self, version: str) -> None:
        request = ReviewRequest(Action.CORRECT, version, "ann", AT, "akita")
        try:
            done = ReviewsTable(self.client, "t").review(IMAGE, request)
        except ReviewConflictError:
            return
        if done is not None:
            assert done.record.review == CORRECTION
            self.corrected.add(version)

    def check(self, about: object) -> None:
        row = self.table.get(IMAGE)
        if row is None:
            return
        lives = row.status is Status.CLASSIFIED
        wanted = CORRECTION if lives and row.version in self.corrected else None
        assert row.review == wanted, about
        assert row.label in ((None,) if not lives else ("pug", "chow")), about


def told(history: History, order: list[tuple[str, int]]) -> Told:
    made = Told(history)
    for what in order:
        made.happen(what)
    return made


def without_review(record: Record | None) -> Record | None:
    return None if record is None else replace(record, review=None)


def check(steps: tuple[str | int, ...], order: list[tuple[str, int]]) -> Told:
    history = History(steps)
    made = told(history, order)
    made.check((steps, order))
    answers_alone = [each for each in order if each[0] != "correct"]
    bare = told(history, answers_alone).table.get(IMAGE)
    assert without_review(made.table.get(IMAGE)) == bare, "a review has changed the answer"
    return made


@pytest.mark.parametrize(
    "steps", [("put",), ("put", "put"), ("put", "hide"), ("put", 0), ("put", "put", 0)]
)
def test_a_correction_survives_every_order_of_events_and_goes_with_its_version(
    steps: tuple[str | int, ...],
) -> None:
    events = [("event", place) for place in range(len(steps))]
    extra = [("correct", 0), ("another model", 0), ("event", 0)]
    accepted = 0
    for order in set(itertools.permutations(events + extra)):
        accepted += bool(check(steps, list(order)).corrected)
    assert accepted, "no order has tried a correction"


STEPS = st.lists(st.sampled_from(("put", "put", "hide", 0, 1)), max_size=5).map(
    lambda steps: ("put", *steps)
)


@settings(max_examples=cases(300), deadline=None, derandomize=True, database=None)
@given(steps=STEPS, order=st.randoms(use_true_random=False))
def test_long_histories_with_reviews_and_models_in_any_order(
    steps: tuple[str | int, ...], order: Any
) -> None:
    places = range(len(steps))
    kinds = ("event", "event", "another model", "correct", "correct")
    happenings = [(kind, place) for kind in kinds for place in places]
    order.shuffle(happenings)
    check(steps, happenings)


def test_a_correction_survives_reprocessing_and_duplicates() -> None:
    made = check(("put",), [("event", 0), ("correct", 0), ("event", 0), ("another model", 0)])
    row = made.table.get(IMAGE)
    assert row is not None
    assert (row.label, row.model, row.review) == ("chow", "dogs@2", CORRECTION)


def test_a_deleted_images_row_keeps_nothing_of_its_review() -> None:
    made = check(("put", "hide"), [("event", 0), ("correct", 0), ("event", 1)])
    assert not {name for name in made.client.row if name.startswith("review")}
