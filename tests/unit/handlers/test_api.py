"""The API's answers, through Powertools' resolver, as API Gateway calls it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from handlers import api, wiring
from pipeline import clients
from pipeline.api_requests import id_of
from pipeline.errors import TransientError
from pipeline.queries import Page, Query
from pipeline.records import Record, Status
from tests.fakes import image_ref
from tests.model_archives import card
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
    status, body = call(f"/predictions/{id_of('s3://bucket/incoming/none.jpg')}")
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


class Served:
    """S3 and SageMaker, as far as the model behind the endpoint can be found there."""

    def __init__(self) -> None:
        self.version, self.asked = "1", 0

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        self.asked += 1
        return {"EndpointConfigName": f"{EndpointName}-config"}

    def describe_endpoint_config(self, *, EndpointConfigName: str) -> dict[str, Any]:  # noqa: N803
        assert EndpointConfigName == "dogs-config"
        return {"ProductionVariants": [{"ModelName": f"dogs-{self.version}"}]}

    def describe_model(self, *, ModelName: str) -> dict[str, Any]:  # noqa: N803
        return {"PrimaryContainer": {"ModelDataUrl": f"s3://models/{ModelName}/model.tar.gz"}}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert (Bucket, Key) == ("models", f"dogs-{self.version}/model.json")
        fields = {
            "version": self.version,
            "labels": ["beagle", "boxer"],
            "gate": {"label": "not_a_dog", "minimum": 0.25},
        }
        return {"Body": io.BytesIO(json.dumps(card(**fields)).encode())}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    fake = Served()
    monkeypatch.setenv("ENDPOINT_NAME", "dogs")
    monkeypatch.setattr(clients, "client", lambda _service: fake)
    api._model_labels.cache_clear()
    yield fake
    api._model_labels.cache_clear()


@pytest.mark.usefixtures("served")
def test_labels_are_those_of_the_model_behind_the_endpoint_with_its_gate() -> None:
    assert call("/labels") == (
        200,
        {"model": "dogs@1", "labels": ["beagle", "boxer", "not_a_dog"]},
    )


def test_labels_follow_a_promotion_within_a_minute_and_are_not_looked_up_each_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(api.time, "monotonic", lambda: clock[0])
    assert [call("/labels")[1]["model"] for _ in range(3)] == ["dogs@1"] * 3
    assert served.asked == 1
    served.version = "2"
    clock[0] += api.LABELS_SECONDS
    assert call("/labels")[1]["model"] == "dogs@2"
