"""The API's answers, through Powertools' resolver, as API Gateway calls it."""

from __future__ import annotations

import base64
import io
import json
import re
import unicodedata
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.requests import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_TEXT_CHARACTERS,
    PARAMETERS,
    id_of,
)
from handlers import api, wiring
from pipeline import clients
from pipeline.errors import TransientError
from pipeline.queries import Page, Query
from pipeline.records import Record, Status
from registry import served_labels
from tests.fakes import image_ref
from tests.model_archives import card
from tests.unit.handlers.test_classify import Context


def record(key: str) -> Record:
    from pipeline import records  # noqa: PLC0415

    return records.deleted(image_ref(key), "2026-11-24T06:00:00.000Z")


UTC_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
SORT_KEY = "2026-11-24T06:00:00.000Z#0123456789abcdef"
FILTERS = {
    "label": "beagle",
    "status": "classified",
    "min_confidence": "0.5",
    "since": "2026-11-01",
}


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
        return Page(list(self.rows.values()), SORT_KEY)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> FakeTable:
    fake = FakeTable()
    monkeypatch.setattr(wiring, "predictions_table", lambda: fake)
    return fake


def call(
    path: str, parameters: dict[str, str] | None = None, raw_query: str = ""
) -> tuple[int, Any]:
    event = {
        "version": "2.0",
        "routeKey": f"GET {path}",
        "rawPath": path,
        "rawQueryString": raw_query,
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
    query = Query(
        label="beagle",
        status=Status.CLASSIFIED,
        min_confidence=0.5,
        since="2026-11-01T00:00:00.000Z",
    )
    status, body = call("/predictions", FILTERS | {"limit": "7"})
    assert status == 200
    assert table.asked == [(query, 7, None)]
    call("/predictions", FILTERS | {"limit": "3", "cursor": body["cursor"]})
    assert table.asked[1:] == [(query, 3, SORT_KEY)]
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
    assert "s3://bucket/incoming/none.jpg" in body["detail"]


NO_IDS = ["!!", "a", "_w", "=", "é", "Zm9v", id_of("s3://b/" + "k" * 2048), id_of("s3://b/k") + "="]


@pytest.mark.parametrize("prediction_id", NO_IDS)
def test_what_is_no_id_is_a_bad_request(table: FakeTable, prediction_id: str) -> None:
    assert call(f"/predictions/{prediction_id}")[0] in {400, 404}


def test_an_id_is_exact_another_unicode_form_of_the_key_is_another_image(table: FakeTable) -> None:
    decomposed = unicodedata.normalize("NFD", "s3://bucket/incoming/a b+c%20é.jpg")
    assert call(f"/predictions/{id_of(decomposed)}")[0] == 404


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
        {"limit": "9" * 5000},
        {"limit": "5.0"},
        {"min_confidence": "inf"},
        {"min_confidence": "-0.1"},
        {"label": "x" * (MAX_TEXT_CHARACTERS + 1)},
        {"min_confidence": "\u0660"},
        {"min_confidence": "0_1"},
        {"limit": "\u0663"},
        {"label": "\ud800"},
        {"since": "tomorrow"},
        {"since": "2026-02-30"},
        {"cursor": "here"},
        {"cursor": "é"},
        {"labels": "beagle"},
        {"Label": "beagle"},
    ],
)
def test_a_filter_that_makes_no_sense_is_a_bad_request_that_says_so(
    table: FakeTable, parameters: dict[str, str]
) -> None:
    status, body = call("/predictions", parameters)
    assert status == 400
    assert next(iter(parameters)) in body["detail"]
    assert table.asked == []


@pytest.mark.parametrize("empty", ["", " ", "\t\r\n"])
def test_empty_parameters_count_as_absent(table: FakeTable, empty: str) -> None:
    names = (*PARAMETERS, "anything")
    assert call("/predictions", dict.fromkeys(names, empty))[0] == 200
    assert table.asked == [(Query(), DEFAULT_LIMIT, None)]


@pytest.mark.parametrize(
    "change",
    [{"label": "boxer"}, {"status": ""}, {"min_confidence": "0.6"}, {"since": "2026-11-02"}],
)
def test_a_cursor_of_another_filter_is_a_bad_request_that_says_so(
    table: FakeTable, change: dict[str, str]
) -> None:
    cursor = call("/predictions", FILTERS)[1]["cursor"]
    status, body = call("/predictions", FILTERS | change | {"cursor": cursor})
    assert (status, "other filters" in body["detail"]) == (400, True)
    assert len(table.asked) == 1


def test_a_cursor_works_with_the_same_filter_in_another_spelling(table: FakeTable) -> None:
    cursor = call("/predictions", FILTERS)[1]["cursor"]
    same = FILTERS | {"status": "CLASSIFIED", "min_confidence": "0.50", "cursor": cursor}
    assert call("/predictions", same)[0] == 200


def test_a_span_keeps_its_cursor_while_time_passes(table: FakeTable) -> None:
    cursor = call("/predictions", {"since": "2h"})[1]["cursor"]
    assert call("/predictions", {"since": "2h", "cursor": cursor})[0] == 200


def test_a_cursor_needs_no_escaping_in_an_address(table: FakeTable) -> None:
    cursor = call("/predictions")[1]["cursor"]
    assert quote(cursor, safe="") == cursor


def test_a_repeated_parameter_is_refused_instead_of_joined(table: FakeTable) -> None:
    status, body = call("/predictions", {"label": "pug,boxer"}, "label=pug&label=boxer")
    assert (status, "label is given 2 times" in body["detail"]) == (400, True)
    assert call("/predictions", {"label": "pug,"}, "label=pug&cursor=&cursor=")[0] == 200


def test_a_presigned_address_may_carry_its_signature(table: FakeTable) -> None:
    assert call("/predictions", {"X-Amz-Signature": "abc", "X-Amz-Expires": "60"})[0] == 200


def test_a_mistyped_parameter_is_named_with_the_nearest_one(table: FakeTable) -> None:
    assert (
        "did you mean min_confidence?" in call("/predictions", {"min-confidence": "1"})[1]["detail"]
    )


VALUES = st.one_of(
    st.text(max_size=40),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(str),
    st.sampled_from(["2h", "today", "2026", "0001-01-01 00:00+14:00", SORT_KEY, "NaN", "", "null"]),
    st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")),
)


@given(
    parameters=st.dictionaries(st.sampled_from(PARAMETERS) | st.text(max_size=9), VALUES),
    raw_query=st.text(max_size=30),
)
@settings(max_examples=200, deadline=None)
def test_whatever_is_asked_no_listing_is_a_server_error(
    parameters: dict[str, str], raw_query: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        table = FakeTable()
        patch.setattr(wiring, "predictions_table", lambda: table)
        assert call("/predictions", parameters, raw_query)[0] in {200, 400}
        for query, limit, before in table.asked:
            assert 1 <= limit <= MAX_LIMIT
            assert before is None or 0 < len(before.encode()) <= 1024
            assert query.since is None or re.fullmatch(UTC_TIME, query.since)
            assert query.label is None or 0 < len(query.label.encode()) <= 2046


@given(prediction_id=VALUES)
@settings(max_examples=100, deadline=None)
def test_whatever_the_id_is_it_is_no_server_error(prediction_id: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "predictions_table", FakeTable)
        assert call(f"/predictions/{prediction_id}")[0] in {200, 400, 404}


def test_a_busy_table_is_a_503_that_says_when_to_come_again(table: FakeTable) -> None:
    table.failure = TransientError("ThrottlingException", "busy")
    status, body = call("/health")
    assert status == 503
    assert "try again" in body["detail"]


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
            "names": {"boxer": ["German Boxer", "boxer dog"]},
        }
        return {"Body": io.BytesIO(json.dumps(card(**fields)).encode())}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    fake = Served()
    monkeypatch.setenv("ENDPOINT_NAME", "dogs")
    monkeypatch.setattr(clients, "client", lambda _service: fake)
    return fake


@pytest.mark.usefixtures("served")
def test_labels_are_those_of_the_model_behind_the_endpoint_with_its_gate() -> None:
    assert call("/labels") == (
        200,
        {
            "model": "dogs@1",
            "labels": ["beagle", "boxer", "not_a_dog"],
            "names": {"boxer": "German Boxer"},
        },
    )


def test_labels_follow_a_promotion_within_a_minute_and_are_not_looked_up_each_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(served_labels.time, "monotonic", lambda: clock[0])
    assert [call("/labels")[1]["model"] for _ in range(3)] == ["dogs@1"] * 3
    assert served.asked == 1
    served.version = "2"
    clock[0] += served_labels.LABELS_SECONDS
    assert call("/labels")[1]["model"] == "dogs@2"
