"""The three kinds of error, told apart by type.

- Permanent: this image will never work. Not an exception but a value: ``imaging.Rejection``.
- Transient: the same call may succeed later. ``TransientError``.
- Bug: everything else, a missing permission included. It is not caught by type; it takes the
  transient road (tried again, then the dead-letter queue) with its traceback in the log.
"""

from __future__ import annotations

from imaging import ImageSpec


class TransientError(Exception):
    """A service did not do its work this time: throttling, a time-out, a 5xx answer.

    ``code`` is the service's own error code or the exception's class name. Before
    ``retry_after_seconds`` are over another try is known to be in vain.
    """

    def __init__(self, code: str, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class SpecMismatchError(Exception):
    """The endpoint wants images prepared by another spec, and says by which one."""

    def __init__(self, expected: ImageSpec) -> None:
        super().__init__(f"the endpoint wants images of spec {expected.hash}")
        self.expected = expected


class UnsupportedEncodingError(Exception):
    """The endpoint's model, an older one, does not know this encoding of pixels."""


class UnknownEventError(Exception):
    """A queue message that is no S3 notification: a bug in the wiring of the queue."""
