"""Who may use the loopback server: its own page, opened from the address that was printed.

Other web pages can make a browser send requests to 127.0.0.1. They know no token; a name of theirs
that leads to 127.0.0.1 (DNS rebinding) is another Host; their scripts have another Origin.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

SAFE_METHODS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer to a request that is not the page's."""

    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Checks requests.

    Attributes:
        authority: host and port as the browser names them.
        token: the first part of every path; it cannot be guessed.
    """

    authority: str
    token: str

    @property
    def origin(self) -> str:
        return f"http://{self.authority}"

    @property
    def address(self) -> str:
        """The page's address."""
        return f"{self.origin}/{self.token}/"

    def admit(self, method: str, path: str, headers: Mapping[str, str]) -> str | Refusal:
        """Returns the path behind the token, or the refusal.

        Args:
            headers: by lower-case name.
        """
        if headers.get("host") != self.authority:
            return Refusal(421, f"This server is {self.authority}.")
        token, _, rest = path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self.token.encode()):
            return Refusal(404, "Open the address that `imagedrop page` printed.")
        if not self._is_ours(method, rest, headers):
            return Refusal(403, "Only the page itself may call this server.")
        return rest

    def _is_ours(self, method: str, rest: str, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        if origin is None and method not in SAFE_METHODS:
            return False
        if origin is not None and origin != self.origin:
            return False
        site = headers.get("sec-fetch-site", "same-origin")
        opens_the_page = rest == "" and headers.get("sec-fetch-mode") == "navigate"
        return site in ("same-origin", "none") or opens_the_page
