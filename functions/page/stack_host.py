"""The stack as a host of the page: the facts it gives the page, and what the page may call."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from page.files import PageFile, bucket_origins, security_headers
from page.sign_in import SignIn, sign_in_of


@dataclass(frozen=True, slots=True)
class StackHost:
    """A stack whose API takes tokens.

    Attributes:
        bucket: where photos are dropped.
    """

    region: str
    bucket: str
    sign_in: SignIn

    def facts(self) -> PageFile:
        """Returns what the page requests first: its own address, and where to sign in."""
        facts = {
            "place": f"AWS, {self.region}",
            "target": "aws",
            "bucket": self.bucket,
            "sign_in": self.sign_in.to_json(),
        }
        return PageFile(json.dumps(facts).encode(), "application/json")

    def headers(self, file: PageFile) -> dict[str, str | list[str]]:
        """Returns the headers of an answer with this file."""
        origins = [*self.sign_in.origins, *bucket_origins(self.bucket, self.region)]
        return {**security_headers(origins), "Cache-Control": "no-cache", "ETag": file.etag}


@lru_cache(maxsize=1)
def stack_host(
    region: str,
    bucket: str,
    issuer_and_audience: str,
    read: Callable[[str], bytes],
) -> StackHost:
    """Returns the host; its issuer is asked once.

    Raises:
        IssuerError: the issuer does not say where to sign in; the next call asks it again.
    """
    return StackHost(region, bucket, sign_in_of(issuer_and_audience, read))
