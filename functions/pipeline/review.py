"""A person's review of one version of an image, and the effect of each action on it. A review is
stored beside the model's answer and never replaces it. It belongs to one version: a row that
shows another version has none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline.records import Record, Review, Status

CLAIM_MINUTES = 10
MAX_LABEL_CHARACTERS = 100


class Action(StrEnum):
    """The things that a reviewer can do with an image."""

    CLAIM = "claim"
    CONFIRM = "confirm"
    CORRECT = "correct"
    NONE_OF_THESE = "none_of_these"
    SKIP = "skip"
    UNDO = "undo"


DECISIONS = frozenset({Action.CONFIRM, Action.CORRECT, Action.NONE_OF_THESE})


@dataclass(frozen=True, slots=True)
class Reviews:
    """All reviews of one version.

    Attributes:
        latest: the last decision, or the last skip while there is no decision.
        before: what the last decision replaced, for undo.
        claim: who is reviewing it now; it ends after ``CLAIM_MINUTES``.
        changes: how often people changed it; a write is refused when another came between.
    """

    version: str
    latest: Review | None = None
    before: Review | None = None
    claim: Review | None = None
    changes: int = 0

    @property
    def is_decided(self) -> bool:
        return self.latest is not None and self.latest.action in DECISIONS

    @property
    def shown(self) -> Review | None:
        """Returns the review of a record: a decision, else the claim, else a skip."""
        return self.latest if self.is_decided else self.claim or self.latest


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """One action of one person on the version that they see.

    ``label`` is the right label of a correction; with a confirmation, the label that was seen.
    """

    action: Action
    version: str
    by: str
    at: str
    label: str | None = None


class ReviewConflictError(Exception):
    """The action does not fit the row's current state; the message is for the user."""


def reviewed(said: Reviews, record: Record, request: ReviewRequest) -> Reviews:
    """Returns the reviews after the action.

    Raises:
        ReviewConflictError: the row shows another version or no answer, another person is reviewing
        the image, the model's answer has changed, or the caller has nothing to undo.
    """
    if record.version != request.version:
        raise ReviewConflictError("the image has another version now; review that one")
    if record.status is not Status.CLASSIFIED:
        raise ReviewConflictError(f"the image is {record.status}: there is no answer to review")
    if said.version != request.version:
        said = Reviews(request.version, changes=said.changes)
    _refuse_when_claimed(said, request)
    return replace(_after(said, record, request), changes=said.changes + 1)


def _refuse_when_claimed(said: Reviews, request: ReviewRequest) -> None:
    claim = said.claim
    if claim is None or claim.by == request.by:
        return
    ends = datetime.fromisoformat(claim.at) + timedelta(minutes=CLAIM_MINUTES)
    if datetime.fromisoformat(request.at) < ends:
        raise ReviewConflictError(f"{claim.by} is reviewing this image until {ends:%H:%M:%S} UTC")


def _after(said: Reviews, record: Record, request: ReviewRequest) -> Reviews:
    done = Review(None, request.by, request.at, str(request.action))
    match request.action:
        case Action.CLAIM:
            return replace(said, claim=done)
        case Action.SKIP:
            return replace(said, claim=None, latest=said.latest if said.is_decided else done)
        case Action.UNDO:
            return _undone(said, request)
        case Action.CONFIRM if request.label not in (None, record.label):
            raise ReviewConflictError(f"the model's answer is {record.label} now; look again")
        case Action.CONFIRM if record.is_abstention:
            # Confirming that the model does not know the image does not say what it shows.
            done = replace(done, label=record.label, action=str(Action.NONE_OF_THESE))
        case Action.CONFIRM:
            done = replace(done, label=record.label)
        case Action.CORRECT:
            done = replace(done, label=request.label)
    return replace(said, claim=None, latest=done, before=said.latest)


def _undone(said: Reviews, request: ReviewRequest) -> Reviews:
    """Undoes the last decision or skip, one step; the caller's claim ends too."""
    if said.latest is None:
        raise ReviewConflictError("this version has no review: there is nothing to undo")
    if said.latest.by != request.by:
        raise ReviewConflictError(
            f"{said.latest.by} made that decision; correct it instead of undoing it"
        )
    return replace(said, claim=None, latest=said.before, before=None)
