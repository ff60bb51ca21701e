"""What the function says about each image: one log line and one count; never its content."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.classify_images import Outcome
from pipeline.errors import SpecMismatchError, TransientError
from pipeline.records import Record
from pipeline.retries import FailedMessage


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log, and the metric that it counts towards.

    ``error`` is logged with its traceback.
    """

    level: Literal["info", "warning", "error"]
    text: str
    metric: str
    fields: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None


def unreadable(message_id: str, error: Exception) -> LogLine:
    """A message that is not an S3 notification."""
    return LogLine("error", "unreadable message", "Bugs", {"message_id": message_id}, error)


def given_up(message: FailedMessage) -> LogLine:
    """A message that failed at its last try."""
    about = {"message_id": message.message_id, "why": message.reason}
    return LogLine("error", "image given up", "GivenUp", about)


def outcome_line(outcome: Outcome) -> LogLine:
    """How one image ended."""
    ref, error = outcome.ref, outcome.error
    about: dict[str, Any] = {"image": ref.image, "version": ref.version, "sequencer": ref.sequencer}
    if isinstance(error, TransientError | SpecMismatchError):
        about["error"] = str(error)
        return LogLine("warning", "image failed for now", "TransientFailures", about)
    if error is not None:
        return LogLine("error", "image failed", "Bugs", about, error)
    if outcome.record is None:
        return LogLine("info", "image overtaken in its batch", "Overtaken", about)
    return _recorded(outcome.record, about, written=outcome.written)


def _recorded(record: Record, about: dict[str, Any], *, written: bool) -> LogLine:
    about |= {"label": record.label, "confidence": record.confidence, "reason": record.reason}
    if not written:
        return LogLine("info", "image known already", "KnownAlready", about)
    text = f"image {record.status.lower()}"
    return LogLine("info", text, record.status.capitalize(), about)
