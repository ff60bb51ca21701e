"""The three kinds of error, distinguished by type.

- Permanent: this image will never work. A value, not an exception: ``imaging.Rejection``.
- Transient: the same call may succeed later. ``TransientError``.
- Bug: everything else, including a missing permission. It is not caught by type: it is retried
  like a transient error, then goes to the dead-letter queue, with its traceback in the log.
"""

from __future__ import annotations

from imaging import ImageSpec


class TransientError(Exception):
    """A service failed this time: throttling, a timeout, a 5xx answer.

    ``code`` is the service's error code or the exception's class name. Retrying sooner than
    ``retry_after_seconds`` is pointless.
    """

    def __init__(self, code: str, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class SpecMismatchError(Exception):
    """The endpoint expects images of another spec, ``expected``."""

    def __init__(self, expected: ImageSpec) -> None:
        super().__init__(f"the endpoint expects images of spec {expected.hash}")
        self.expected = expected


class UnsupportedEncodingError(Exception):
    """The endpoint's model, an older one, does not know this encoding of pixels."""


class NoExplanationError(Exception):
    """The endpoint's model cannot show where it looked for this label; the text says why."""


class UnknownEventError(Exception):
    """A queue message is not an S3 notification: a bug in the queue's configuration."""
