"""The stack's API, called with the user's credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.errors import UserError

# An HTTP API gives up after 30 seconds.
TIMEOUT_SECONDS = 35.0
PASSED_ON = ("accept", "content-type", "if-none-match")
RETURNED = ("content-type", "etag", "cache-control", "retry-after")


class UnreachableError(Exception):
    """The API did not answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the API; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class SignedApi:
    """Signs requests with Signature Version 4 and sends them.

    Attributes:
        url: the API's address, without a slash at its end.
    """

    url: str
    session: boto3.Session
    http: httpx.AsyncClient

    async def call(
        self, method: str, path: str, query: str, headers: Mapping[str, str], content: bytes
    ) -> Answer:
        """Returns the API's answer, whatever its status.

        Args:
            path: below the API's address, encoded as in URLs.
            query: the query string, encoded as by a browser's form.
            headers: by lower-case name; only those in ``PASSED_ON`` are sent.

        Raises:
            UnreachableError: it did not answer.
            UserError: this machine has no credentials, or they cannot be renewed.
        """
        url = f"{self.url}/{path}" + (f"?{_canonical(query)}" if query else "")
        sent = {name: headers[name] for name in PASSED_ON if name in headers}
        # Credentials may have to be renewed over the network.
        signed = await asyncio.to_thread(self._signed, method, url, sent, content)
        try:
            answer = await self.http.request(method, url, headers=signed, content=content)
        except httpx.HTTPError as error:
            raise UnreachableError(f"{urlsplit(self.url).netloc}: {error}") from error
        kept = {name: answer.headers[name] for name in RETURNED if name in answer.headers}
        return Answer(answer.status_code, kept, answer.content)

    def _signed(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> dict[str, str]:
        request = AWSRequest(method, url, headers=dict(headers), data=content)
        region = self.session.region_name
        SigV4Auth(self._credentials(), "execute-api", region).add_auth(request)
        return dict(request.headers)

    def _credentials(self) -> ReadOnlyCredentials:
        try:
            credentials = self.session.get_credentials()
            frozen = credentials.get_frozen_credentials() if credentials else None
        except (BotoCoreError, ClientError) as error:
            raise UserError(
                "The credentials cannot be renewed.", "Sign in: aws sso login"
            ) from error
        if frozen is None:
            raise UserError("There are no credentials to sign with.", "Sign in: aws sso login")
        return frozen


def _canonical(query: str) -> str:
    """Encodes a query as Signature Version 4 does: a space is %20, and * is %2A.

    AWS signs what it has decoded and encoded again; a form's + and * would not match.
    """
    return urlencode(parse_qsl(query, keep_blank_values=True), quote_via=quote, safe="")
