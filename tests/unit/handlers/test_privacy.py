"""The functions' logs have no secret of a caller: no signature, no token, no signed address.

That it holds nothing of an image is tested with the classify handler and with a whole bulk run.
"""

from __future__ import annotations

import io
import json
import logging
import urllib.error
from collections.abc import Callable
from typing import Any

import pytest

from handlers import api, custom_resource, publish_model, wiring
from pipeline.errors import TransientError
from pipeline.queries import Page, Query
from tests.unit.handlers.test_classify import Context

SECRET = "SECRET0123456789"
SIGNED = (
    f"https://bucket.s3.amazonaws.com/key?X-Amz-Signature={SECRET}&X-Amz-Security-Token={SECRET}"
)


@pytest.fixture
def logged(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    """Everything that was logged or printed, tracebacks and extra fields included.

    At the level INFO, which is Lambda's own for ``LogFormat: JSON``.
    """
    caplog.set_level(logging.INFO)

    def read() -> str:
        fields = "".join(str(vars(record)) for record in caplog.records)
        return caplog.text + fields + "".join(capsys.readouterr())

    return read


class Table:
    """Gives empty answers, or none at all."""

    failure: Exception | None = None

    def get(self, image: str) -> None:
        if self.failure is not None:
            raise self.failure

    def list(self, query: Query, *, limit: int, cursor: str | None = None) -> Page:
        if self.failure is not None:
            raise self.failure
        return Page([], None)


def request(path: str, parameters: dict[str, str]) -> dict[str, Any]:
    """A request as API Gateway hands it over, with a secret in every place that has one."""
    return {
        "version": "2.0",
        "routeKey": f"GET {path}",
        "rawPath": path,
        "rawQueryString": f"X-Amz-Signature={SECRET}",
        "headers": {
            "authorization": f"AWS4-HMAC-SHA256 Credential=AKIA/x, Signature={SECRET}",
            "x-amz-security-token": SECRET,
            "cookie": SECRET,
        },
        "queryStringParameters": parameters | {"X-Amz-Security-Token": SECRET},
        "requestContext": {
            "http": {"method": "GET", "path": path, "sourceIp": "127.0.0.1"},
            "authorizer": {"jwt": {"claims": {"sub": "alice", "email": SECRET}}},
            "stage": "$default",
            "requestId": "1",
        },
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    ("path", "parameters", "failure", "status"),
    [
        ("/predictions", {}, None, 200),
        ("/predictions", {"limit": "many"}, None, 400),
        ("/predictions", {}, TransientError("Throttling", "slow down"), 503),
        ("/predictions/bm8", {}, None, 404),
        ("/nowhere", {}, None, 404),
    ],
)
def test_no_credential_of_a_caller_is_logged(  # noqa: PLR0917 - a table of cases and two fixtures
    monkeypatch: pytest.MonkeyPatch,
    logged: Callable[[], str],
    path: str,
    parameters: dict[str, str],
    failure: Exception | None,
    status: int,
) -> None:
    table = Table()
    table.failure = failure
    monkeypatch.setattr(wiring, "predictions_table", lambda: table)
    answer = api.handler(request(path, parameters), Context())  # type: ignore[arg-type]
    assert answer["statusCode"] == status
    assert SECRET not in logged() + json.dumps(answer)


def test_a_bug_is_logged_without_the_callers_credentials(
    monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    table = Table()
    table.failure = RuntimeError("a bug")
    monkeypatch.setattr(wiring, "predictions_table", lambda: table)
    with pytest.raises(RuntimeError) as raised:
        api.handler(request("/predictions", {}), Context())  # type: ignore[arg-type]
    # Lambda logs what a handler raises.
    assert SECRET not in logged() + str(raised.value)


class PublishContext:
    log_stream_name = "stream"


@pytest.mark.parametrize("refused", [False, True])
def test_the_signed_address_that_cloudformation_hears_at_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str], refused: bool
) -> None:
    def open_(called: Any, timeout: float) -> io.BytesIO:
        assert called.full_url == SIGNED
        if refused:
            raise urllib.error.HTTPError(SIGNED, 403, "Forbidden", {}, None)  # type: ignore[arg-type]
        return io.BytesIO()

    def fails(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setenv("MODELS_BUCKET", "models")
    monkeypatch.setattr(publish_model, "publish_default", fails)
    monkeypatch.setattr(custom_resource.urllib.request, "urlopen", open_)
    event = {
        "RequestType": "Create",
        "ResponseURL": SIGNED,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "PublishedModel",
    }
    said = ""
    try:
        publish_model.handler(event, PublishContext())
    except urllib.error.HTTPError as error:
        said = str(error)
    assert ("403" in said) is refused
    text = logged()
    assert "was not published" in text
    assert SECRET not in text + said
