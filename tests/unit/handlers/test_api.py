"""The API's answers, through Powertools' resolver, as API Gateway calls it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from handlers import api, wiring
from pipeline.adapters.predictions_table import Page, Query
from pipeline.errors import TransientError
from pipeline.records import Record, Status
from tests.fakes import image_ref
from tests.unit.handlers.test_classify import Context


def record(key: str) -> Record:
    from pipeline import records  # noqa: PLC0415

    return records.deleted(image_ref(key), "2026-11-24T06:00:00.000Z")


class FakeTable:
    def __init__(self) -> None:
        self.asked: list[tuple[Query, int, str | None]] = []
        self.rows = {each.image: each for each in (record("a b+c%20é.jpg"), record("b.jpg"))}
        self.failure: Exception | None = None

    def get(self, image: str) -> Record | None:
        if self.failure is not None:
            raise self.failure
        return self.rows.get(image)

    def list(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        self.asked.append((query, limit, cursor))
        return Page(list(self.rows.values()), "next")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> FakeTable:
    fake = FakeTable()
    monkeypatch.setattr(wiring, "predictions_table", lambda: fake)
    return fake


def call(path: str, parameters: dict[str, str] | None = None) -> tuple[int, Any]:
    event = {
        "version": "2.0",
        "routeKey": f"GET {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "queryStringParameters": parameters or {},
        "requestContext": {
            "http": {"method": "GET", "path": path, "sourceIp": "127.0.0.1"},
            "stage": "$default",
            "requestId": "1",
        },
        "isBase64Encoded": False,
    }
    response = api.handler(event, Context())  # type: ignore[arg-type]
    return response["statusCode"], json.loads(response["body"])


def test_a_listing_passes_its_filters_on_and_gives_ids_and_a_cursor(table: FakeTable) -> None:
    parameters = {
        "label": "beagle",
        "status": "classified",
        "min_confidence": "0.5",
        "since": "2026-11-01",
        "cursor": "here",
        "limit": "7",
    }
    status, body = call("/predictions", parameters)
    query = Query(label="beagle", status=Status.CLASSIFIED, min_confidence=0.5, since="2026-11-01")
    assert table.asked == [(query, 7, "here")]
    assert status == 200
    assert body["cursor"] == "next"
    assert [each["key"] for each in body["predictions"]] == [
        "incoming/a b+c%20é.jpg",
        "incoming/b.jpg",
    ]


def test_the_id_of_a_listing_finds_that_prediction_whatever_its_key(table: FakeTable) -> None:
    _, listing = call("/predictions")
    for each in listing["predictions"]:
        assert call(f"/predictions/{each['id']}") == (200, each)


def test_an_unknown_image_is_not_found(table: FakeTable) -> None:
    status, body = call(f"/predictions/{api.id_of('s3://bucket/incoming/none.jpg')}")
    assert status == 404
    assert "s3://bucket/incoming/none.jpg" in body["message"]


@pytest.mark.parametrize("prediction_id", ["!!", "a", "_w"])
def test_what_is_no_id_is_a_bad_request(table: FakeTable, prediction_id: str) -> None:
    assert call(f"/predictions/{prediction_id}")[0] in {400, 404}


@pytest.mark.parametrize(
    "parameters",
    [
        {"status": "LOST"},
        {"min_confidence": "2"},
        {"min_confidence": "nan"},
        {"min_confidence": "much"},
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "-1"},
        {"limit": "ten"},
    ],
)
def test_a_filter_that_makes_no_sense_is_a_bad_request_that_says_so(
    table: FakeTable, parameters: dict[str, str]
) -> None:
    status, body = call("/predictions", parameters)
    assert status == 400
    assert next(iter(parameters)) in body["message"]
    assert table.asked == []


def test_a_busy_table_is_a_503_that_says_when_to_come_again(table: FakeTable) -> None:
    table.failure = TransientError("ThrottlingException", "busy")
    status, body = call("/health")
    assert status == 503
    assert "try again" in body["message"]


def test_health_is_ok_when_the_table_answers(table: FakeTable) -> None:
    assert call("/health") == (200, {"status": "ok"})


@pytest.fixture
def model_card(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    card = {
        "name": "dogs",
        "version": "1",
        "labels": ["beagle", "boxer"],
        "gate": {"label": "not_a_dog", "minimum": 0.25},
    }

    class S3:
        def get_object(self, **where: str) -> dict[str, Any]:
            assert where == {"Bucket": "models", "Key": "default/model.json"}
            return {"Body": io.BytesIO(json.dumps(card).encode())}

    monkeypatch.setenv("MODEL_CARD_URL", "s3://models/default/model.json")
    monkeypatch.setattr(wiring, "client", lambda _service: S3())
    api._model_labels.cache_clear()
    yield
    api._model_labels.cache_clear()


@pytest.mark.usefixtures("model_card")
def test_labels_are_those_of_the_deployed_model_with_its_gate() -> None:
    assert call("/labels") == (
        200,
        {"model": "dogs@1", "labels": ["beagle", "boxer", "not_a_dog"]},
    )
