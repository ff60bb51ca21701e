"""Reviews over the API, with moto's DynamoDB under them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from threading import Barrier, Lock, Thread
from typing import Any

import pytest

from api.requests import id_of
from handlers import api_rows, api_wiring, wiring
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.adapters.reviews_table import ReviewsTable
from pipeline.records import Review
from pipeline.review import Action, ReviewConflictError, ReviewRequest
from tests.tables import classified, dynamodb_with_table, image_ref
from tests.unit.handlers.api_calls import ANN, call

REF = image_ref()
BOB = {"jwt": {"claims": {"sub": "b-0-b", "email": "bob@example.org", "email_verified": "true"}}}
NAMES = {"ann": "arn:aws:iam::123456789012:user/ann", "bob": "bob@example.org"}


class Clock:
    def __init__(self) -> None:
        self.minutes = 0

    def __call__(self) -> str:
        self.minutes += 1
        return self.now

    @property
    def now(self) -> str:
        return f"2026-11-24T08:{self.minutes:02d}:00.000Z"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(api_rows, "utc_now", made)
    return made


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[PredictionsTable]:
    with dynamodb_with_table() as dynamodb:
        made = PredictionsTable(dynamodb, "predictions")
        made.write(classified(REF), REF)
        monkeypatch.setattr(wiring, "predictions_table", lambda: made)
        monkeypatch.setattr(
            api_wiring, "reviews_table", lambda: ReviewsTable(dynamodb, "predictions")
        )
        yield made


def put(action: str, who: object = ANN, **body: str) -> tuple[int, Any]:
    sent = {"action": action, "version": REF.version} | body
    path = f"/images/{id_of(REF.image)}/review"
    return call("PUT", path, body=sent, authorizer=who)[:2]


def review(table: PredictionsTable) -> tuple[str, str | None, str] | None:
    row = table.get(REF.image)
    assert row is not None
    said = row.review
    return None if said is None else (said.action, said.label, said.by)


def test_a_correction_names_who_and_when_and_leaves_the_models_answer(
    table: PredictionsTable, clock: Clock
) -> None:
    status, body = put("correct", label="akita")
    said = {"label": "akita", "by": NAMES["ann"], "at": clock.now, "action": "correct"}
    assert (status, body["review"]) == (200, said)
    assert (body["label"], body["confidence"]) == ("beagle", 0.9)
    assert call("GET", f"/predictions/{body['id']}")[1] == body


def test_each_action_has_its_review(table: PredictionsTable) -> None:
    for action, label in (("claim", None), ("skip", None), ("none_of_these", None)):
        assert put(action)[0] == 200
        assert review(table) == (action, label, NAMES["ann"])
    assert put("confirm")[0] == 200
    assert review(table) == ("confirm", "beagle", NAMES["ann"])


def test_who_confirms_that_the_model_does_not_know_says_that_no_label_fits(
    table: PredictionsTable,
) -> None:
    newer = replace(image_ref(sequencer="0A"), version="v2")
    table.write(replace(classified(newer), label="unknown_dog"), newer)
    assert put("confirm", version="v2")[0] == 200
    assert review(table) == ("none_of_these", "unknown_dog", NAMES["ann"])


def test_undo_takes_back_one_step_of_ones_own(table: PredictionsTable) -> None:
    put("confirm")
    put("correct", label="akita")
    assert put("undo", BOB)[0] == 409
    _, row = put("undo")
    assert row["review"]["action"] == "confirm"
    undone = {"action": "correct", "label": "akita", "by": NAMES["ann"], "at": row["undone"]["at"]}
    assert row["undone"] == undone
    _, row = put("undo")
    assert (row["review"], row["undone"]["action"]) == (None, "confirm")
    assert put("undo")[0] == 409
    assert "undone" not in put("confirm")[1]


def test_who_claims_an_image_has_it_for_ten_minutes(table: PredictionsTable, clock: Clock) -> None:
    assert put("claim")[0] == 200
    status, body = put("claim", BOB)
    assert (status, NAMES["ann"] in body["detail"]) == (409, True)
    assert put("confirm", BOB)[0] == 409
    clock.minutes = 11
    assert put("claim", BOB)[0] == 200
    assert put("confirm")[0] == 409


def test_a_decision_ends_the_claim_and_is_not_hidden_by_the_next_one(
    table: PredictionsTable,
) -> None:
    put("claim")
    put("confirm")
    assert put("claim", BOB)[1]["review"]["action"] == "confirm"
    assert put("skip", BOB)[1]["review"]["action"] == "confirm"


def test_a_review_of_another_version_is_a_conflict(table: PredictionsTable) -> None:
    newer = replace(image_ref(sequencer="0A"), version="v2")
    table.write(classified(newer), newer)
    assert put("confirm")[0] == 409
    assert put("confirm", version="v2")[0] == 200


def test_a_confirmation_of_another_label_than_the_rows_is_a_conflict(
    table: PredictionsTable,
) -> None:
    status, body = put("confirm", label="boxer")
    assert (status, "beagle" in body["detail"]) == (409, True)
    assert put("confirm", label="beagle")[0] == 200


def test_who_reviews_comes_from_the_caller_and_never_from_the_body(
    table: PredictionsTable,
) -> None:
    assert put("confirm", BOB)[1]["review"]["by"] == "bob@example.org"
    assert put("confirm", by="carl")[0] == 400
    unverified = {"jwt": {"claims": {"sub": "b-0-b", "email": "ann@example.org"}}}
    assert put("confirm", unverified)[1]["review"]["by"] == "b-0-b"
    assert put("confirm", None)[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "{",
        {"action": "confirm"},
        {"action": "praise", "version": "v1"},
        {"action": "correct", "version": "v1"},
        {"action": "claim", "version": "v1", "label": "pug"},
        {"action": "correct", "version": "v1", "label": "../pug"},
        {"action": "correct", "version": "v1", "label": "p\u0000g"},
        {"action": "correct", "version": "v1", "label": "p\ud800g"},
        {"action": "correct", "version": "v1", "label": "x" * 101},
        {"action": "confirm", "version": 1},
        {"action": "confirm", "version": "v1", "by": "me"},
    ],
)
def test_a_body_that_makes_no_sense_is_a_bad_request_that_changes_nothing(
    table: PredictionsTable, body: object
) -> None:
    status, answer, headers = call("PUT", f"/images/{id_of(REF.image)}/review", body=body)
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert answer["detail"]
    assert review(table) is None


def test_an_image_without_a_row_is_not_found(table: PredictionsTable) -> None:
    body = {"action": "confirm", "version": "v1"}
    assert call("PUT", f"/images/{id_of('s3://bucket/none')}/review", body=body)[0] == 404


def test_of_two_people_at_once_one_gets_the_claim() -> None:
    """Both read before either writes."""
    both_have_read = Barrier(2, timeout=20)
    one_after_the_other = Lock()  # DynamoDB's own for an item, which moto lacks

    class Slow:
        def __init__(self, client: Any) -> None:
            self.client, self.reads = client, 0

        def get_item(self, **request: Any) -> Any:
            found = self.client.get_item(**request)
            self.reads += 1
            if self.reads == 1:
                both_have_read.wait()
            return found

        def update_item(self, **request: Any) -> Any:
            with one_after_the_other:
                return self.client.update_item(**request)

    outcomes: dict[str, Review | str | None] = {}

    def claim(who: str, dynamodb: Any) -> None:
        request = ReviewRequest(Action.CLAIM, REF.version, who, "2026-11-24T08:00:00.000Z")
        try:
            done = ReviewsTable(Slow(dynamodb), "predictions").review(REF.image, request)  # type: ignore[arg-type]
            outcomes[who] = done.record.review if done else None
        except ReviewConflictError:
            outcomes[who] = "conflict"

    with dynamodb_with_table() as dynamodb:
        PredictionsTable(dynamodb, "predictions").write(classified(REF), REF)
        people = [Thread(target=claim, args=(who, dynamodb)) for who in ("ann", "bob")]
        for each in people:
            each.start()
        for each in people:
            each.join()
    lost, won = sorted(outcomes, key=lambda who: isinstance(outcomes[who], Review))
    assert outcomes[lost] == "conflict"
    said = outcomes[won]
    assert isinstance(said, Review)
    assert said.by == won
