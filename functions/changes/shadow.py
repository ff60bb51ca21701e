"""Sends a share of the live images to a candidate, after their rows are written, from the table's
stream. No drop waits for it: it reads the image again, and leaves out images that fail.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from changes.row_changes import readable_changes
from imaging import ImageSpec, Prepared, Rejection, encode_npy
from pipeline.answers import Answer
from pipeline.classify_images import Images
from pipeline.errors import TransientError
from pipeline.records import CandidateAnswer, Record, Road, Status, ref_to_read

logger = logging.getLogger(__name__)

# With the default model's 150,528 bytes an image, 27 images fit into a serverless request of 4 MB.
MAX_PAYLOAD_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Shadow:
    """The candidate that live images are shown to.

    Attributes:
        model: ``name@version``.
        image_spec: of its images.
        share: of the images, 0..1.
    """

    model: str
    image_spec: ImageSpec
    share: float

    def takes(self, image: str, version: str) -> bool:
        """Returns whether an image is of the share: the same at any time, for every candidate.

        A larger share holds a smaller one.
        """
        digest = hashlib.sha256(f"{image}\0{version}".encode()).digest()
        return int.from_bytes(digest[:8]) < self.share * 2**64


@dataclass(frozen=True, slots=True)
class Shown:
    """The result for some changes of the table.

    Attributes:
        chosen: rows of the share.
        again_from: the sequence number of the first change to deliver again, if any.
    """

    chosen: int = 0
    answered: int = 0
    disagreeing: int = 0
    again_from: str | None = None

    def to_response(self) -> dict[str, Any]:
        """Returns the form that Lambda reads: it delivers the changes again from the named one
        on."""
        again = [] if self.again_from is None else [{"itemIdentifier": self.again_from}]
        return {"batchItemFailures": again}


class Endpoint(Protocol):
    """The candidate's endpoint."""

    def classify(self, body: bytes, spec: ImageSpec, image_count: int) -> list[Answer]: ...


class Rows(Protocol):
    """The table; it keeps the candidate's answers beside the predictions."""

    def write_candidate(self, record: Record, answer: CandidateAnswer) -> bool: ...


@dataclass(frozen=True, slots=True)
class ShowToCandidate:
    """The adapters of the use case.

    Attributes:
        shadow: the candidate; None while there is none.
        images_bucket: the stack's own bucket, which keeps versions.
    """

    shadow: Callable[[], Shadow | None]
    images: Images
    prepare: Callable[[bytes, ImageSpec], Prepared | Rejection]
    endpoint: Endpoint
    rows: Rows
    images_bucket: str
    now: Callable[[], str]

    def run(self, events: Sequence[Mapping[str, Any]], too_late: Callable[[], bool]) -> Shown:
        """Sends new images of the share to the candidate, as many at a time as fit into a request.

        A busy service or too little time ends it: the changes from there on come again, a few
        times, and those before do not.

        Args:
            too_late: whether no further call of the endpoint may begin.
        """
        shadow = self.shadow()
        if shadow is None:
            return Shown()
        chosen = [
            (record, change.number)
            for change in readable_changes(events)
            if (record := change.new_answer) and _is_for(shadow, record)
        ]
        shown = Shown(chosen=len(chosen))
        size = max(1, MAX_PAYLOAD_BYTES // shadow.image_spec.image_bytes)
        for start in range(0, len(chosen), size):
            some = chosen[start : start + size]
            _, first_number = some[0]
            try:
                if too_late():
                    return replace(shown, again_from=first_number)
                shown = self._show([record for record, _ in some], shadow, shown)
            except TransientError as error:
                logger.warning("shown again later", extra={"error": str(error)})
                return replace(shown, again_from=first_number)
        return shown

    def _show(self, records: Sequence[Record], shadow: Shadow, shown: Shown) -> Shown:
        ready = [(record, pixels) for record in records for pixels in self._pixels(record, shadow)]
        for record, answer in self._answers(ready, shadow) if ready else []:
            given = CandidateAnswer(answer.label, answer.confidence, answer.model, self.now())
            if self.rows.write_candidate(record, given):
                shown = replace(
                    shown,
                    answered=shown.answered + 1,
                    disagreeing=shown.disagreeing + (answer.label != record.label),
                )
        return shown

    def _pixels(self, record: Record, shadow: Shadow) -> Iterator[bytes]:
        """Yields the prepared image; nothing when it is gone or another preparation rejects it."""
        try:
            data = self.images.read(ref_to_read(record, record.version, self.images_bucket))
            if data is None or isinstance(data, Rejection):
                return
            prepared = self.prepare(data, shadow.image_spec)
        except TransientError:
            raise
        except Exception:
            logger.exception("an image is not shown to the candidate")
            return
        if isinstance(prepared, Prepared):
            yield prepared.pixels

    def _answers(
        self, ready: Sequence[tuple[Record, bytes]], shadow: Shadow
    ) -> list[tuple[Record, Answer]]:
        """Returns the answers; none when the candidate breaks its contract, which is logged."""
        spec = shadow.image_spec
        body = encode_npy([pixels for _, pixels in ready], spec)
        try:
            answers = self.endpoint.classify(body, spec, len(ready))
        except TransientError:
            raise
        except Exception:
            logger.exception("the candidate gave no answers", extra={"model": shadow.model})
            return []
        if any(each.model != shadow.model for each in answers):
            return []  # the endpoint has another candidate now
        return [(record, answer) for (record, _), answer in zip(ready, answers, strict=True)]


def _is_for(shadow: Shadow, record: Record) -> bool:
    return (
        record.status is Status.CLASSIFIED
        and record.source is Road.DROP
        and record.model != shadow.model
        and shadow.takes(record.image, record.version)
    )
