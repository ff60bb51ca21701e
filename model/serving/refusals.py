"""What the endpoint answers when it does not classify."""

from __future__ import annotations

import json
from collections.abc import Mapping


class Refusal(Exception):  # noqa: N818 - an answer of the contract, not a fault
    """A request that gets an error of the contract instead of an answer.

    Attributes:
        status: HTTP status.
        code: stable name for programs; a ``RejectReason`` value where an image was rejected.
        details: further members of the ``error`` object.
        retry_after_seconds: when trying again makes sense; None where it never does.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, object] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}
        self.retry_after_seconds = retry_after_seconds

    def body(self) -> bytes:
        """``{"error": {"code": …, "message": …}}`` as JSON."""
        error = {"code": self.code, "message": self.message, **self.details}
        return json.dumps({"error": error}, separators=(",", ":")).encode()


class ImageRejected(Refusal):
    """The body of an image type is no image that can be classified; its code is the reason."""

    def __init__(self, status: int, code: str, message: str, image: Mapping[str, object]) -> None:
        super().__init__(status, code, message)
        self.image = image

    def as_entry(self) -> bytes:
        """The refusal as an answer's only entry, for callers that give up at any other status."""
        error = {"code": self.code, "message": self.message}
        return json.dumps([{"error": error, "image": self.image}], separators=(",", ":")).encode()


def overloaded() -> Refusal:
    """503: what waits already fills the memory that requests may hold."""
    message = "more requests are waiting than the endpoint can hold"
    return Refusal(503, "overloaded", message, retry_after_seconds=1)
