"""Calls of the page are signed as AWS checks them, or say what to do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

import boto3
import httpx
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import UnauthorizedSSOTokenError

from imagedrop.errors import UserError
from imagedrop.page.signed_api import SignedApi

SECRET = "secret"
REGION = "eu-west-1"


def sent(session: boto3.Session, query: str) -> httpx.Request:
    """Returns the request that reaches the API for a query of the page."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    async def call() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            api = SignedApi("https://api.example", session, http)
            await api.call("GET", "predictions", query, {}, b"")

    asyncio.run(call())
    return requests[0]


def signature_by_aws(request: httpx.Request) -> str:
    """Computes the signature from the decoded query, as the rules of Signature Version 4 say."""
    pairs = parse_qsl(request.url.query.decode(), keep_blank_values=True)
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    query = "&".join(f"{name}={value}" for name, value in encoded)
    at = request.headers["x-amz-date"]
    headers = f"host:{request.headers['host']}\nx-amz-date:{at}\n"
    content = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n/predictions\n{query}\n{headers}\nhost;x-amz-date\n{content}"
    scope = f"{at[:8]}/{REGION}/execute-api/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        pytest.param("group=sun+dogs", "group=sun%20dogs", id="a space"),
        pytest.param("label=a*b", "label=a%2Ab", id="a star"),
        pytest.param("label=a%2Bb%26c%7E", "label=a%2Bb%26c~", id="a plus, an ampersand, a tilde"),
        pytest.param("label=caf%C3%A9&group=", "label=caf%C3%A9&group=", id="an accent, nothing"),
        pytest.param("since=2026-11-29T10%3A00%2F*", "since=2026-11-29T10%3A00%2F%2A", id="a time"),
    ],
)
def test_a_query_of_the_page_is_signed_as_aws_checks_it(query: str, canonical: str) -> None:
    request = sent(boto3.Session("test", SECRET, region_name=REGION), query)
    assert request.url.query.decode() == canonical
    signature = request.headers["authorization"].rpartition("Signature=")[2]
    assert signature == signature_by_aws(request)


def test_a_sign_in_that_has_ended_says_what_to_do() -> None:
    def renew() -> dict[str, str]:
        raise UnauthorizedSSOTokenError

    session = boto3.Session(region_name=REGION)
    ended = datetime.now(UTC) - timedelta(minutes=1)
    session._session._credentials = RefreshableCredentials(
        "test", SECRET, "token", ended, renew, "sso"
    )
    with pytest.raises(UserError, match="cannot be renewed") as raised:
        sent(session, "")
    assert raised.value.next_step == "Sign in: aws sso login"
