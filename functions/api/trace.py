"""The history of an image, as far as its row has it."""

from __future__ import annotations

from pipeline.records import Record, Status


def steps_of(record: Record) -> list[dict[str, str]]:
    """Returns what happened to the version that the row shows, oldest first."""
    steps = [
        _step(record.received_at, "uploaded", f"version {record.version}, {record.bytes:,} bytes"),
        _step(record.classified_at, record.status.lower(), _result(record)),
    ]
    if record.status is Status.DELETED:
        steps = steps[1:]  # the row has the times of the deletion
    if record.review is not None:
        said = record.review
        detail = " ".join(filter(None, (said.action, said.label, "by", said.by)))
        steps.append(_step(said.at, "reviewed", detail))
    return steps


def _result(record: Record) -> str:
    if record.status is Status.CLASSIFIED:
        return f"{record.label} {record.confidence:.3f} by {record.model}, {record.source}"
    return record.reason or ""


def _step(at: str, what: str, detail: str) -> dict[str, str]:
    return {"at": at, "what": what, "detail": detail}
