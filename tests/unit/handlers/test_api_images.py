"""Thumbnails, forms for uploads, entity tags, and the description of the API."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from api import bodies as api_bodies
from api import requests as api_requests
from api.description import description
from api.requests import PARAMETERS, id_of
from api.thumbnails import Thumbnails
from api.upload_forms import UploadForms
from handlers import api, api_wiring, wiring
from imaging import Rejection, RejectReason
from imaging.decoder import DecoderError
from imaging.thumbnail import make_thumbnail
from pipeline import records
from pipeline.answers import InvalidAnswerError
from pipeline.errors import NoExplanationError, SpecMismatchError
from pipeline.events import ImageRef
from pipeline.records import Record
from pipeline.review import Action
from tests.fakes import SPEC, jpeg
from tests.tables import classified, image_ref
from tests.template_resources import resources
from tests.unit.handlers.api_calls import call

RECORD = classified(image_ref())
PATH = f"/images/{id_of(RECORD.image)}/thumbnail"
IMMUTABLE = "private, max-age=31536000, immutable"


class Rows:
    def __init__(self) -> None:
        self.record: Record | None = RECORD

    def get(self, image: str) -> Record | None:
        return self.record if image == RECORD.image else None


class Versions:
    def __init__(self) -> None:
        self.read_refs: list[ImageRef] = []

    def read(self, ref: ImageRef) -> bytes | None:
        self.read_refs.append(ref)
        return jpeg(60) if ref.version in ("v1", "older") else None


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    made = Rows()
    monkeypatch.setattr(wiring, "predictions_table", lambda: made)
    return made


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch, rows: Rows) -> Versions:
    made = Versions()
    thumbnails = Thumbnails(made, make_thumbnail, "bucket")  # type: ignore[arg-type]
    monkeypatch.setattr(api_wiring, "thumbnails", lambda: thumbnails)
    return made


def test_a_thumbnail_is_of_exactly_the_version_and_may_be_kept_forever(versions: Versions) -> None:
    status, answer, headers = call("GET", PATH, {"version": "v1", "size": "256"})
    assert (status, headers["Content-Type"]) == (200, "image/webp")
    assert headers["Cache-Control"] == IMMUTABLE
    assert Image.open(io.BytesIO(base64.b64decode(answer["body"]))).format == "WEBP"
    assert [(each.version, each.versioned) for each in versions.read_refs] == [("v1", True)]


def test_a_thumbnail_that_the_caller_has_is_neither_read_nor_made_again(
    versions: Versions,
) -> None:
    etag = call("GET", PATH, {"version": "v1"})[2]["ETag"]
    known = {"if-none-match": f'"another", W/{etag}'}
    status, answer, headers = call("GET", PATH, {"version": "v1"}, headers=known)
    assert (status, answer["body"], headers["ETag"]) == (304, "", etag)
    assert len(versions.read_refs) == 1
    assert call("GET", PATH, {"version": "v1", "size": "1024"}, headers=known)[0] == 200


def test_without_a_version_it_is_the_rows_and_may_not_be_kept(versions: Versions) -> None:
    headers = call("GET", PATH)[2]
    assert versions.read_refs[0].version == "v1"
    assert headers["Cache-Control"] == "private, no-cache"


def test_an_older_version_is_shown_while_it_exists(versions: Versions) -> None:
    assert call("GET", PATH, {"version": "older"})[0] == 200
    assert call("GET", PATH, {"version": "gone"})[0] == 404


@pytest.mark.parametrize("parameters", [{"size": "300"}, {"size": "x"}, {"version": "v", "q": "1"}])
def test_another_size_or_parameter_is_a_bad_request(
    versions: Versions, parameters: dict[str, str]
) -> None:
    assert call("GET", PATH, parameters)[0] == 400
    assert versions.read_refs == []


def test_a_rejected_or_deleted_image_has_no_thumbnail_and_the_reason_is_said(
    rows: Rows, versions: Versions
) -> None:
    rejection = Rejection(RejectReason.TRUNCATED, "", "JPEG", 3, 4)
    rows.record = records.rejected(image_ref(), rejection, "2026-11-24")
    status, answer, _ = call("GET", PATH, {"version": "v1"})
    assert (status, "truncated" in answer["detail"]) == (404, True)
    rows.record = records.deleted(image_ref(), "2026-11-24")
    assert call("GET", PATH, {"version": "v1"})[0] == 404
    rows.record = None
    assert call("GET", PATH, {"version": "v1"})[0] == 404
    assert versions.read_refs == []


@pytest.mark.parametrize(
    "error", [DecoderError("ended"), InvalidAnswerError("no map"), SpecMismatchError(SPEC)]
)
def test_a_failure_of_the_decoder_or_the_model_asks_to_come_again(
    rows: Rows, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Failing:
        def of(self, _record: Record) -> dict[str, Any]:
            raise error

    monkeypatch.setattr(api_wiring, "explanations", Failing)
    status, problem, headers = call("GET", f"/images/{id_of(RECORD.image)}/explanation")
    assert (status, headers["Retry-After"], problem["status"]) == (503, "1", 503)


class Maps:
    def of(self, record: Record) -> dict[str, Any]:
        if record.model == "old@1":
            raise NoExplanationError("old@1 cannot show where it looked")
        return {"map": [[1.0]], "label": record.label}


def test_where_the_model_looked_is_answered_or_the_reason_is_said(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_wiring, "explanations", Maps)
    path = f"/images/{id_of(RECORD.image)}/explanation"
    assert call("GET", path)[:2] == (200, {"map": [[1.0]], "label": "beagle"})
    rows.record = classified(image_ref(), model="old@1")
    status, problem, _ = call("GET", path)
    assert (status, problem["detail"]) == (404, "old@1 cannot show where it looked")
    rows.record = None
    assert call("GET", path)[0] == 404


def test_a_row_that_the_caller_has_is_not_sent_again(rows: Rows) -> None:
    path = f"/predictions/{id_of(RECORD.image)}"
    etag = call("GET", path)[2]["ETag"]
    status, answer, headers = call("GET", path, headers={"if-none-match": etag})
    assert (status, answer["body"]) == (304, "")
    assert "Content-Type" not in headers
    rows.record = classified(image_ref(), label="boxer")
    assert call("GET", path, headers={"if-none-match": etag})[0] == 200


def test_no_answer_may_run_anything_where_it_is_opened(rows: Rows) -> None:
    for path in ("/health", "/nothing", "/openapi.json"):
        headers = call("GET", path)[2]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


class Sts:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def assume_role(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
        return {"Credentials": {name: f"{name}-value" for name in names}}


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch) -> Sts:
    from pipeline.clients import s3_with  # noqa: PLC0415

    made = Sts()
    role = "arn:aws:iam::123456789012:role/stack/upload-form/role"
    forms = UploadForms(made, s3_with, "images", role)
    monkeypatch.setattr(api_wiring, "upload_forms", lambda: forms)
    return made


def test_a_form_fits_one_key_and_one_size_and_ends_with_its_session(sts: Sts) -> None:
    status, form, _ = call("POST", "/uploads", body={"key": "a/pug.jpg", "bytes": 1234})
    assert (status, form["key"]) == (200, "incoming/a/pug.jpg")
    assert form["fields"]["key"] == "incoming/a/pug.jpg"
    assert form["fields"]["x-amz-security-token"] == "SessionToken-value"
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    assert ["content-length-range", 1234, 1234] in policy["conditions"]
    assert {"key": "incoming/a/pug.jpg"} in policy["conditions"]
    assert {"bucket": "images"} in policy["conditions"]
    assert sts.asked[0]["DurationSeconds"] == 900


def test_the_credentials_behind_a_form_may_write_its_key_alone(sts: Sts) -> None:
    name = "*?$aws:username}/ü🐶.jpg"
    call("POST", "/uploads", body={"key": name, "bytes": 1})
    allowed = json.loads(sts.asked[0]["Policy"])["Statement"]
    assert [each["Action"] for each in allowed] == ["s3:PutObject", "kms:GenerateDataKey"]
    pattern = allowed[0]["Resource"].removeprefix("arn:aws:s3:::images/")
    assert pattern == "incoming/???aws?username?/??.jpg"
    assert len(sts.asked[0]["Policy"]) <= 2048


@pytest.mark.parametrize(
    "body",
    [
        {"key": "a.jpg"},
        {"key": "a.jpg", "bytes": 0},
        {"key": "a.jpg", "bytes": True},
        {"key": "a.jpg", "bytes": 32 * 1024 * 1024 + 1},
        {"key": "", "bytes": 1},
        {"key": "/a.jpg", "bytes": 1},
        {"key": "a/../b.jpg", "bytes": 1},
        {"key": "a/", "bytes": 1},
        {"key": "a/.hidden.jpg", "bytes": 1},
        {"key": "a.jpg\n", "bytes": 1},
        {"key": "a\n.jpg", "bytes": 1},
        {"key": "${filename}", "bytes": 1},
        {"key": "é" * 600, "bytes": 1},
        {"key": 5, "bytes": 1},
        {"key": "a.jpg", "bytes": 1, "bucket": "other"},
    ],
)
def test_a_form_for_something_else_is_not_signed(sts: Sts, body: dict[str, Any]) -> None:
    assert call("POST", "/uploads", body=body)[0] == 400
    assert sts.asked == []


# The files of the page are no part of the API.
OF_THE_PAGE = {"/", "/host.json", "/page/{name}"}


def routes() -> set[tuple[str, str]]:
    """The application's routes, as OpenAPI writes them."""
    app = api.app
    every = [*app._static_routes, *app._dynamic_routes]
    found = {(each.method, re.sub(r"<\w*?(id|name)>", r"{\1}", each.path)) for each in every}
    return {(method, path) for method, path in found if path not in OF_THE_PAGE}


def test_the_description_has_exactly_the_routes_of_the_application() -> None:
    described = {
        (method.upper(), path)
        for path, operations in description()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert described == routes()


def test_the_template_lets_in_exactly_the_methods_of_the_description() -> None:
    paths = resources()["HttpApi"]["Properties"]["DefinitionBody"]["paths"]
    assert {each.upper() for each in paths["/{proxy+}"]} == {method for method, _ in routes()}
    events = resources()["ApiFunction"]["Properties"]["Events"].values()
    called = {each["Properties"]["Method"] for each in events}
    assert called == {method for method, _ in routes()}


def test_the_description_has_exactly_the_parameters_and_fields_of_the_code() -> None:
    listing = description()["paths"]["/predictions"]["get"]["parameters"]
    assert tuple(each["name"] for each in listing) == PARAMETERS
    schemas = description()["components"]["schemas"]
    patterns = {
        "Blank": api_requests.BLANK_PATTERN,
        "ReviewLabel": api_bodies.LABEL_PATTERN,
        "ReviewedVersion": api_bodies.TEXT_PATTERN,
    }
    assert {name: schemas[name]["pattern"] for name in patterns} == patterns
    key = schemas["UploadRequest"]["properties"]["key"]
    assert key["pattern"] == api_bodies.KEY_PATTERN
    assert set(schemas["ReviewRequest"]["discriminator"]["mapping"]) == set(Action)
    fields = {"id", *RECORD.to_json()}
    assert set(schemas["Record"]["properties"]) == set(schemas["Record"]["required"]) == fields


def test_a_path_with_another_method_says_which_it_takes() -> None:
    status, answer, headers = call("POST", "/labels", body={})
    assert (status, headers["Allow"], answer["status"]) == (405, "GET", 405)
    assert call("GET", "/nothing")[0] == 404


def test_the_description_lies_in_the_bundle() -> None:
    assert json.loads(Path("functions/api/openapi.json").read_text())["openapi"] == "3.1.0"
