"""Listings of the predictions table: filters, orders, cursors, and what a page costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imaging import Rejection, RejectReason
from pipeline import records
from pipeline.adapters import predictions_listing
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.adapters.reviews_table import ReviewsTable
from pipeline.queries import NoSuchOrderError, Query, Sort
from pipeline.records import Record, Road, Status
from pipeline.review import Action, ReviewRequest
from pipeline.table_items import to_item
from tests.cases import cases
from tests.tables import classified, dynamodb_with_table, image_ref

READ_UNIT_BYTES = 4096
NOON = "2026-11-24T12:00:00.000Z"


@dataclass
class Counted:
    """A client of DynamoDB that adds up what its queries cost."""

    client: Any
    requests: int = 0
    read_units: float = 0.0
    is_weighing: bool = False

    def query(self, **request: Any) -> Any:
        answer = self.client.query(**request)
        if not self.is_weighing:
            self.requests += 1
            return answer
        unfiltered = {name: each for name, each in request.items() if name != "FilterExpression"}
        unfiltered = self.client.query(**_without_unused(unfiltered))
        # An eventually consistent read costs half a unit for 4 kB, of all rows read together.
        self.requests += 1
        size = sum(item_bytes(each) for each in unfiltered["Items"])
        self.read_units += 0.5 * -(-size // READ_UNIT_BYTES)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


def item_bytes(value: Any) -> int:
    """Returns an item's or a value's size as DynamoDB counts it, names included.

    docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    if isinstance(value, dict) and len(value) == 1 and (kind := next(iter(value))) in set("SNML"):
        inside = value[kind]
        if kind == "S":
            return len(inside.encode())
        if kind == "N":
            return 1 + (len(inside) + 1) // 2
        return 3 + sum(1 + item_bytes(each) for each in _named(inside))
    return sum(len(name) + item_bytes(each) for name, each in value.items())


def _named(inside: Any) -> list[Any]:
    return [inside] if isinstance(inside, dict) else list(inside)


def _without_unused(request: dict[str, Any]) -> dict[str, Any]:
    condition = request["KeyConditionExpression"]
    values = request["ExpressionAttributeValues"]
    kept = {name: value for name, value in values.items() if name in condition}
    request = {name: each for name, each in request.items() if name != "ExpressionAttributeNames"}
    return request | {"ExpressionAttributeValues": kept}


@dataclass
class Filled:
    """A table with rows of every kind."""

    dynamodb: Counted
    table: PredictionsTable
    rows: list[Record]

    def add(self, record: Record) -> None:
        ref = replace(image_ref(record.key), version=record.version)
        self.table.write(record, ref)

    def find(self, query: Query, limit: int = 7) -> list[Record]:
        """Reads every page."""
        found: list[Record] = []
        cursor: str | None = None
        while True:
            page = self.table.list(query, limit=limit, cursor=cursor)
            assert len(page.records) <= limit
            found += page.records
            cursor = page.cursor
            if cursor is None:
                return found


def rows() -> Iterator[Record]:
    """Newest first; labels, models, roads and confidences in every combination."""
    for place in range(36):
        record = classified(
            image_ref(f"incoming/{place}.jpg"),
            "boxer" if place % 3 == 0 else "beagle",
            confidence=round((place * 7 % 36) / 36, 6),
            model=f"dogs@{1 + place % 2}",
            at=f"2026-11-{24 - place // 10:02d}T06:00:{59 - place % 10:02d}.000Z",
        )
        yield replace(record, source=Road.BULK if place % 5 == 0 else Road.DROP)


@pytest.fixture(scope="module")
def filled() -> Iterator[Filled]:
    with dynamodb_with_table() as dynamodb:
        counted = Counted(dynamodb)
        made = Filled(counted, PredictionsTable(counted, "predictions"), list(rows()))  # type: ignore[arg-type]
        for record in made.rows:
            made.add(record)
        rejection = Rejection(RejectReason.CORRUPT, "bad", "JPEG", None, None)
        made.add(records.rejected(image_ref("incoming/bad.jpg"), rejection, NOON))
        made.add(records.deleted(image_ref("incoming/gone.jpg"), NOON))
        reviews = ReviewsTable(dynamodb, "predictions")
        for record in made.rows[::4]:
            request = ReviewRequest(Action.CONFIRM, record.version, "ann", NOON)
            reviews.review(record.image, request)
        yield made


MODELS = ("dogs@1", "dogs@2", "dogs@3")
QUERIES = st.builds(
    Query,
    label=st.sampled_from((None, "boxer", "pug")),
    status=st.sampled_from((None, None, Status.CLASSIFIED, Status.REJECTED)),
    min_confidence=st.sampled_from((None, 0.0, 0.25, 0.3)),
    max_confidence=st.sampled_from((None, 0.75, 1.0)),
    since=st.sampled_from((None, "2026-11-22T00:00:00.000Z")),
    until=st.sampled_from((None, "2026-11-24T06:00:55.000Z")),
    model=st.sampled_from((None, *MODELS)),
    source=st.sampled_from((None, *Road)),
    reviewed=st.sampled_from((None, True, False)),
    sort=st.sampled_from(Sort),
)


def expected(filled: Filled, query: Query) -> list[str]:
    """The keys of the rows that match, in the query's order, by plain Python."""
    matching = [
        (place, each)
        for place, each in enumerate(filled.rows)
        if query.label in (None, each.label)
        and query.status in (None, each.status)
        and (query.min_confidence is None or (each.confidence or 0) >= query.min_confidence)
        and (query.max_confidence is None or (each.confidence or 0) <= query.max_confidence)
        and (query.since is None or each.classified_at >= query.since)
        and (query.until is None or each.classified_at < query.until)
        and query.model in (None, each.model)
        and query.source in (None, each.source)
        and query.reviewed in (None, place % 4 == 0)
    ]
    if query.sort.by_confidence:
        matching.sort(key=lambda each: each[1].confidence or 0, reverse=query.sort.descends)
    elif not query.sort.descends:
        matching.reverse()
    return [each.key for _, each in matching]


@given(query=QUERIES, limit=st.sampled_from((5, 50)))
@settings(
    max_examples=cases(30),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_combination_of_filters_finds_its_rows_in_order(
    filled: Filled, query: Query, limit: int
) -> None:
    found = [each.key for each in filled.find(query, limit)]
    rejected = ["incoming/bad.jpg"] if "incoming/bad.jpg" in found else []
    assert [key for key in found if key not in rejected] == expected(filled, query)
    assert "incoming/gone.jpg" not in found


@pytest.mark.parametrize("limit", [1, 7, 30, 100])
def test_pages_of_any_size_hold_every_row_once_and_whole_the_newest_first(
    filled: Filled, limit: int
) -> None:
    rejected, *found = filled.find(Query(), limit)
    assert rejected.key == "incoming/bad.jpg"
    assert [replace(each, review=None) for each in found] == filled.rows


def test_rejections_are_listed_by_time_and_have_no_place_in_the_order_of_confidence(
    filled: Filled,
) -> None:
    rejected = Query(status=Status.REJECTED)
    assert [each.key for each in filled.find(rejected)] == ["incoming/bad.jpg"]
    assert filled.find(replace(rejected, sort=Sort.LEAST_SURE)) == []


class WithoutIndex:
    """DynamoDB as it answers where a table lacks the index; moto's error code is another."""

    def query(self, **request: Any) -> Any:
        if request["IndexName"] != "by_confidence":
            return {"Items": []}
        message = "The table does not have the specified index: by_confidence"
        raise ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "Query")


def test_a_table_without_the_index_by_confidence_says_which_orders_it_has() -> None:
    table = PredictionsTable(WithoutIndex(), "predictions")  # type: ignore[arg-type]
    with pytest.raises(NoSuchOrderError, match="sort by newest or oldest"):
        table.list(Query(sort=Sort.LEAST_SURE), limit=5)
    assert table.list(Query(), limit=5).records == []


class Asked:
    """DynamoDB that keeps the requests and has no rows."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def query(self, **request: Any) -> Any:
        self.requests.append(request)
        return {"Items": []}


@pytest.mark.parametrize("name", ["min_confidence", "max_confidence"])
def test_a_confidence_next_to_nothing_is_a_number_that_dynamodb_takes(name: str) -> None:
    asked = Asked()
    tiny = 2.2e-311  # below 1e-130 DynamoDB answers with a ValidationException
    PredictionsTable(asked, "predictions").list(Query(**{name: tiny}), limit=5)  # type: ignore[arg-type]
    numbers = [
        float(value["N"])
        for request in asked.requests
        for value in request["ExpressionAttributeValues"].values()
        if "N" in value
    ]
    assert numbers
    assert all(number == 0 or number >= 1e-130 for number in numbers)


def test_deleted_images_are_listed_when_asked_for(filled: Filled) -> None:
    deleted = Query(status=Status.DELETED)
    assert [each.key for each in filled.find(deleted)] == ["incoming/gone.jpg"]


@given(query=QUERIES, limit=st.sampled_from((1, 50, 500)))
@settings(
    max_examples=cases(20),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_first_page_takes_at_most_five_requests(
    filled: Filled, query: Query, limit: int
) -> None:
    filled.dynamodb.requests = 0
    filled.table.list(query, limit=limit)
    assert filled.dynamodb.requests <= 5


@pytest.fixture(scope="module")
def large() -> Iterator[Filled]:
    """1,200 rows, of which one is a boxer, written past the condition."""
    with dynamodb_with_table("large") as dynamodb:
        counted = Counted(dynamodb, is_weighing=True)
        made = Filled(counted, PredictionsTable(counted, "large"), [])  # type: ignore[arg-type]
        put_all(
            dynamodb,
            "large",
            [
                classified(
                    image_ref(f"incoming/{number}.jpg"),
                    "boxer" if number == 0 else "beagle",
                    confidence=number / 1200,
                    at=f"2026-11-24T06:{number // 60:02d}:{number % 60:02d}.000Z",
                )
                for number in range(1200)
            ],
        )
        yield made


def put_all(dynamodb: Any, table_name: str, rows: Sequence[Record]) -> None:
    """Write rows past the condition, 25 a request."""
    for place in range(0, len(rows), 25):
        items = [to_item(each, image_ref(each.key)) for each in rows[place : place + 25]]
        puts = [{"PutRequest": {"Item": each}} for each in items]
        dynamodb.batch_write_item(RequestItems={table_name: puts})


@pytest.mark.parametrize(
    ("query", "limit", "units"),
    [
        (Query(), 50, 10),
        (Query(sort=Sort.LEAST_SURE), 50, 10),
        (Query(label="boxer"), 50, 2),
        (Query(model="none"), 50, 65),
        (Query(label="boxer", sort=Sort.MOST_SURE), 50, 65),
        (Query(reviewed=True, min_confidence=0.5, label="beagle"), 50, 65),
    ],
)
def test_a_page_costs_no_more_read_units_than_the_docs_say(
    large: Filled, query: Query, limit: int, units: int
) -> None:
    large.dynamodb.requests, large.dynamodb.read_units = 0, 0
    large.table.list(query, limit=limit)
    assert large.dynamodb.requests == 4
    assert 0 < large.dynamodb.read_units <= units


def test_a_rare_match_is_found_after_empty_pages_with_cursors(large: Filled) -> None:
    large.dynamodb.is_weighing = False
    query = Query(model="dogs@1", max_confidence=0.0)
    first = large.table.list(query, limit=50)
    assert (first.records, first.cursor is None) == ([], False)
    assert [each.key for each in large.find(query, limit=50)] == ["incoming/0.jpg"]


@pytest.mark.parametrize("sort", Sort)
@given(data=st.data())
@settings(
    max_examples=cases(3),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_writes_between_two_pages_neither_repeat_nor_hide_other_rows(
    sort: Sort, data: st.DataObject
) -> None:
    with dynamodb_with_table("changing") as dynamodb, pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictions_listing, "FILTERED_ROWS", 2)
        table = PredictionsTable(dynamodb, "changing")
        made = Filled(Counted(dynamodb), table, list(rows())[:16])
        put_all(dynamodb, "changing", made.rows)
        touched: set[str] = set()
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = table.list(Query(model="dogs@1", sort=sort), limit=3, cursor=cursor)
            seen += [each.key for each in page.records]
            cursor = page.cursor
            if cursor is None:
                break
            place = data.draw(st.integers(0, 20))
            touched.add(f"incoming/{place}.jpg")
            later = classified(
                image_ref(f"incoming/{place}.jpg"),
                confidence=data.draw(st.sampled_from((0.0, 0.5, 1.0))),
                at=data.draw(st.sampled_from(("2026-11-20", NOON))),
            )
            table.write(replace(later, version="v2"), image_ref(later.key, sequencer="0B"))
        untouched = [each.key for each in made.rows if each.model == "dogs@1"]
        untouched = [key for key in untouched if key not in touched]
        assert sorted(key for key in seen if key not in touched) == sorted(untouched)
