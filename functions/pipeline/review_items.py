"""People's reviews of an image, as attributes of its row beside the model's answer.

``review`` holds everything; ``reviewed_version`` is there while a decision holds, so that a filter
can compare it with the row's version; ``review_changes`` counts, so that no two people overwrite
each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.records import Review
from pipeline.review import Reviews

REVIEW_NAMES = ("review", "reviewed_version", "review_changes")


def to_review_item(said: Reviews) -> dict[str, dict[str, Any]]:
    """Returns the attributes for the reviews; without ``reviewed_version`` if no decision holds."""
    parts = {"latest": said.latest, "before": said.before, "claim": said.claim}
    item: dict[str, dict[str, Any]] = {
        "review": {
            "M": {"version": {"S": said.version}}
            | {name: _to_map(each) for name, each in parts.items() if each is not None}
        },
        "review_changes": {"N": str(said.changes)},
    }
    if said.is_decided:
        item["reviewed_version"] = {"S": said.version}
    return item


def reviews_of(item: Mapping[str, Mapping[str, Any]]) -> Reviews:
    """Returns the reviews of a row, of whichever version."""
    fields = item["review"]["M"] if "review" in item else {}
    return Reviews(
        version=fields["version"]["S"] if fields else "",
        latest=_review(fields.get("latest")),
        before=_review(fields.get("before")),
        claim=_review(fields.get("claim")),
        changes=int(item["review_changes"]["N"]) if "review_changes" in item else 0,
    )


def _to_map(review: Review) -> dict[str, Any]:
    given = {"label": review.label, "by": review.by, "at": review.at, "action": review.action}
    return {"M": {name: {"S": text} for name, text in given.items() if text is not None}}


def _review(field: Mapping[str, Any] | None) -> Review | None:
    if field is None:
        return None
    given = {name: value["S"] for name, value in field["M"].items()}
    return Review(given.get("label"), given["by"], given["at"], given["action"])
