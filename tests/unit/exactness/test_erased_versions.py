"""Every order of every short history of one key, with what was read before something was erased.

The table's conditions are evaluated by moto's own parser, without its HTTP layer: tens of thousands
of writes in seconds. One test shows that the client here answers as moto's whole DynamoDB does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.models.dynamo_type import Item

from imaging import Prepared
from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.answers import Answer, Prediction
from pipeline.errors import TransientError
from pipeline.events import SEQUENCER_DIGITS, Change, ImageRef
from pipeline.records import Status
from tests.cases import cases
from tests.moto_clients import client_of

KEY = "incoming/dog.jpg"
IMAGE = f"s3://bucket/{KEY}"
ANSWER = Answer("pug", 0.5, (Prediction("pug", 0.5),), "dogs@1")


class OneRow:
    """DynamoDB's client over a single row: conditional updates, and gets."""

    def __init__(self) -> None:
        self.row: dict[str, Any] | None = None

    def update_item(self, **request: Any) -> dict[str, Any]:
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        condition = get_filter_expression(request["ConditionExpression"], names, values)
        if not condition.expr(Item({"S": IMAGE}, None, self.row or {})):
            refusal: Any = {"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}}
            if self.row is not None and "ReturnValuesOnConditionCheckFailure" in request:
                refusal["Item"] = self.row
            raise ClientError(refusal, "UpdateItem")
        self.row = request["Key"] | (self.row or {})
        given, _, gone = request["UpdateExpression"].removeprefix("SET ").partition(" REMOVE ")
        for assignment in given.split(", "):
            name, place = assignment.split(" = ")
            self.row[names[name]] = values[place]
        for name in filter(None, gone.split(", ")):
            self.row.pop(names[name], None)
        return {"Attributes": self.row}

    def get_item(self, **request: Any) -> dict[str, Any]:
        return {} if self.row is None else {"Item": self.row}


@dataclass
class History:
    """The changes of one key. A step is "put", "hide" (a delete marker), or the number of a
    version to erase, counted from the newest."""

    steps: Sequence[str | int]
    events: list[ImageRef] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        versions: list[str] = []
        for place, step in enumerate(self.steps, 1):
            if isinstance(step, int):
                version = versions[-1 - step % len(versions)] if versions else "none"
                self.erased.add(version)
            else:
                version = f"v{place}"
                versions.append(version)
            self.events.append(
                ImageRef(
                    "bucket",
                    KEY,
                    version,
                    versioned=True,
                    sequencer=f"{place:04X}".ljust(SEQUENCER_DIGITS, "0"),
                    size_bytes=10,
                    received_at=f"2026-11-24T06:00:{place:02}.000Z",
                    change=Change.CREATED if step == "put" else Change.REMOVED,
                    version_removed=isinstance(step, int),
                )
            )

    @property
    def newest(self) -> ImageRef:
        return [each for each in self.events if not each.version_removed][-1]

    def expected(self) -> Status:
        lives = self.newest.change is Change.CREATED and self.newest.version not in self.erased
        return Status.CLASSIFIED if lives else Status.DELETED


@dataclass(frozen=True)
class Delivery:
    """An event, and whether its version was read before anything was erased: an invocation that
    began early and writes late."""

    place: int
    read_early: bool = False


def deliver(history: History, deliveries: Sequence[Delivery], client: Any) -> PredictionsTable:
    """Writes like the function; a failed write is retried at once, with a new read."""
    table = PredictionsTable(client, "erasures")
    for delivery in deliveries:
        ref = history.events[delivery.place]
        if ref.change is Change.REMOVED:
            table.write(records.deleted(ref, "now"), ref)
            continue
        found = delivery.read_early or ref.version not in history.erased
        try:
            table.write(record_of(ref, found), ref)
        except TransientError:
            table.write(record_of(ref, ref.version not in history.erased), ref)
    return table


def record_of(ref: ImageRef, found: bool) -> records.Record:
    if found:
        return records.classified(ref, Prepared(b"", "JPEG", 8, 8), ANSWER, "now")
    return records.deleted(ref, "now", reason="gone")


def check(history: History, table: PredictionsTable, about: object) -> None:
    row = table.get(IMAGE)
    assert row is not None
    assert (row.status, row.version) == (history.expected(), history.newest.version), about


def short_histories(length: int) -> Iterator[tuple[str | int, ...]]:
    for steps in itertools.product(("put", "hide", 0, 1), repeat=length - 1):
        yield ("put", *steps)


@pytest.mark.parametrize("length", [1, 2, 3, pytest.param(4, marks=pytest.mark.thorough)])
def test_every_order_of_every_short_history_ends_in_the_truth(length: int) -> None:
    for steps in short_histories(length):
        history = History(steps)
        for order in itertools.permutations(range(length)):
            deliveries = [Delivery(place) for place in order]
            check(history, deliver(history, deliveries, OneRow()), (steps, order))


def test_an_old_version_erased_early_hides_no_newer_one_that_arrives_late() -> None:
    history = History(("put", "put", 1))
    for order in ((2, 1), (2, 0, 1), (0, 2, 1), (2, 1, 0)):
        table = deliver(history, [Delivery(place) for place in order], OneRow())
        check(history, table, order)


def test_what_was_read_before_its_erasure_does_not_come_back() -> None:
    """The photo's invocation began first and writes last, or a duplicate's does."""
    history = History(("put", 0))
    early = Delivery(0, read_early=True)
    for deliveries in ((Delivery(1), early), (early, Delivery(1), early), (Delivery(1), early) * 2):
        check(history, deliver(history, deliveries, OneRow()), deliveries)


def test_an_erased_version_keeps_its_place_before_older_ones_that_arrive_last() -> None:
    history = History(("put", "put", 0))
    deliveries = [Delivery(2), Delivery(1, read_early=True), Delivery(0)]
    check(history, deliver(history, deliveries, OneRow()), deliveries)


STEPS = st.lists(st.sampled_from(("put", "put", "hide", 0, 1, 2)), min_size=1, max_size=9).map(
    lambda steps: ("put", *steps)
)


@settings(max_examples=cases(300), deadline=None, derandomize=True, database=None)
@given(steps=STEPS, order=st.randoms(use_true_random=False), duplicates=st.integers(0, 12))
def test_long_histories_in_any_order_with_duplicates_end_in_the_truth(
    steps: tuple[str | int, ...], order: Any, duplicates: int
) -> None:
    history = History(steps)
    places = list(range(len(history.events)))
    places += order.choices(places, k=duplicates)
    order.shuffle(places)
    deliveries = [Delivery(place) for place in places]
    check(history, deliver(history, deliveries, OneRow()), places)


def test_the_client_here_answers_as_motos_dynamodb_does() -> None:
    deliveries = [Delivery(place, read_early=place % 2 == 0) for place in (2, 3, 1, 0, 2, 1, 3, 0)]
    with mock_aws():
        dynamodb = client_of("dynamodb")
        dynamodb.create_table(
            TableName="erasures",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
        )
        for steps in [*short_histories(4)][::7]:
            dynamodb.delete_item(TableName="erasures", Key={"image": {"S": IMAGE}})
            history, here = History(steps), OneRow()
            deliver(history, deliveries, here)
            deliver(history, deliveries, dynamodb)
            item = dynamodb.get_item(TableName="erasures", Key={"image": {"S": IMAGE}})["Item"]
            assert item == here.row, steps
