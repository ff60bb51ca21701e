"""How people sign in where the API takes tokens: the issuer's own description of its addresses.

OpenID Connect Discovery 1.0: https://openid.net/specs/openid-connect-discovery-1_0.html
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

DESCRIPTION = "/.well-known/openid-configuration"
TIMEOUT_SECONDS = 5.0
MAX_DESCRIPTION_BYTES = 64 * 1024
# `openid` makes the issuer return an ID token; reviews are signed with its e-mail address.
SCOPE = "openid email"


class IssuerError(Exception):
    """The issuer's description is missing or wrong; the message is for people."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """The addresses of one issuer, and the page's name there.

    The audience of the tokens is the id of the page's client, as it is for ID tokens:
    https://openid.net/specs/openid-connect-core-1_0.html#IDToken
    """

    client_id: str
    authorization_endpoint: str
    token_endpoint: str

    @property
    def origins(self) -> list[str]:
        """The origins that the page's script calls."""
        parts = urlsplit(self.token_endpoint)
        return [f"{parts.scheme}://{parts.netloc}"]

    def to_json(self) -> dict[str, str]:
        return {
            "client_id": self.client_id,
            "authorization_endpoint": self.authorization_endpoint,
            "token_endpoint": self.token_endpoint,
            "scope": SCOPE,
        }


def sign_in_of(issuer_and_audience: str, read: Callable[[str], bytes]) -> SignIn:
    """Asks an issuer for its addresses.

    Args:
        issuer_and_audience: ``https://ISSUER,AUDIENCE``.
        read: returns the content of an address, or raises OSError.

    Raises:
        IssuerError: it does not answer, or its answer is not a description of that issuer.
    """
    issuer, _, audience = issuer_and_audience.partition(",")
    try:
        described = json.loads(read(issuer.rstrip("/") + DESCRIPTION))
        found = SignIn(audience, described["authorization_endpoint"], described["token_endpoint"])
        is_its_own = described["issuer"] == issuer
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IssuerError(f"{issuer} does not say where to sign in: {error}") from error
    scheme = urlsplit(issuer).scheme
    for address in (found.authorization_endpoint, found.token_endpoint):
        if urlsplit(address).scheme != scheme or any(sign in address for sign in " ;,'\""):
            raise IssuerError(f"{issuer} names an address that is not one of {scheme}")
    if not is_its_own:
        raise IssuerError(f"{issuer} describes another issuer")
    return found


def read_address(url: str) -> bytes:
    """Returns the content of an address, up to a limit.

    Raises:
        OSError: it does not answer with success.
    """
    # template.yaml takes https:// alone.
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  # nosec B310
        content: bytes = answer.read(MAX_DESCRIPTION_BYTES + 1)
    if len(content) > MAX_DESCRIPTION_BYTES:
        raise OSError(f"more than {MAX_DESCRIPTION_BYTES} bytes")
    return content
