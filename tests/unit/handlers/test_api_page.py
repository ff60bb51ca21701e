"""The stack serves the page where its API takes tokens, and says where to sign in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from handlers import api, api_page, wiring
from page.sign_in import IssuerError, sign_in_of
from page.stack_host import stack_host
from pipeline.settings import Settings
from tests.unit.handlers.test_classify import Context

ISSUER = "https://issuer.example"
DESCRIPTION = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://login.example/authorize",
    "token_endpoint": "https://login.example/token",
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The stack with tokens; the addresses that its function reads."""
    asked: list[str] = []

    def read_address(url: str) -> bytes:
        asked.append(url)
        return json.dumps(DESCRIPTION).encode()

    use_issuer(monkeypatch, f"{ISSUER},page-client")
    monkeypatch.setattr(api_page, "read_address", read_address)
    stack_host.cache_clear()
    yield asked
    stack_host.cache_clear()


def use_issuer(monkeypatch: pytest.MonkeyPatch, issuer_and_audience: str) -> None:
    environment = {
        "AWS_REGION": "eu-west-1",
        "IMAGES_BUCKET": "photos",
        "JWT_ISSUER_AND_AUDIENCE": issuer_and_audience,
    }
    monkeypatch.setattr(wiring, "settings", Settings(environment))


def get(path: str) -> dict[str, Any]:
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {
            "http": {"method": "GET", "path": path},
            "stage": "$default",
            "requestId": "1",
        },
        "isBase64Encoded": False,
    }
    return api.handler(event, Context())  # type: ignore[arg-type]


def test_the_page_and_its_files_come_with_a_strict_policy(read: list[str]) -> None:
    for path, kind in (("/", "text/html"), ("/page/app.js", "text/javascript")):
        answer = get(path)
        assert answer["statusCode"] == 200
        assert answer["headers"]["Content-Type"].startswith(kind)
        policy = answer["headers"]["Content-Security-Policy"]
        assert "connect-src 'self' https://login.example https://photos.s3.eu-west-1" in policy
        assert "unsafe" not in policy
    assert read == [f"{ISSUER}/.well-known/openid-configuration"]


def test_the_page_learns_where_to_sign_in(read: list[str]) -> None:
    assert json.loads(get("/host.json")["body"]) == {
        "place": "AWS, eu-west-1",
        "target": "aws",
        "bucket": "photos",
        "sign_in": {
            "client_id": "page-client",
            "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": "https://login.example/token",
            "scope": "openid email",
        },
    }


@pytest.mark.parametrize("name", ["files.py", "..%2Ffiles.py", "no_such.js"])
def test_no_other_file_is_served(read: list[str], name: str) -> None:
    assert get(f"/page/{name}")["statusCode"] == 404


def test_without_tokens_there_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    use_issuer(monkeypatch, "")
    for path in ("/", "/page/app.js", "/host.json"):
        assert get(path)["statusCode"] == 404


def test_an_issuer_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    def away(_: str) -> bytes:
        raise OSError("timed out")

    monkeypatch.setattr(api_page, "read_address", away)
    answer = get("/")
    assert answer["statusCode"] == 503
    assert ISSUER in answer["body"]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"issuer": "https://other.example"}, id="another issuer"),
        pytest.param({"token_endpoint": "http://login.example/token"}, id="without TLS"),
        pytest.param({"token_endpoint": "https://x; script-src *"}, id="a policy inside"),
        pytest.param({"token_endpoint": None}, id="no address"),
        pytest.param({"authorization_endpoint": "javascript:alert(1)"}, id="a script"),
    ],
)
def test_a_hostile_description_is_refused(changed: dict[str, object]) -> None:
    described = json.dumps(DESCRIPTION | changed).encode()
    with pytest.raises(IssuerError):
        sign_in_of(f"{ISSUER},page-client", lambda _: described)


def test_a_description_that_is_none_is_refused() -> None:
    for content in (b"", b"[]", b"<html>", b"\xff"):
        with pytest.raises(IssuerError):
            sign_in_of(f"{ISSUER},page-client", lambda _, content=content: content)  # type: ignore[misc]
