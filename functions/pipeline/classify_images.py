"""The use case: changed images in, rows out, one endpoint call for all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from imaging import ImageSpec, Prepared, Rejection, encode_npy
from pipeline import records
from pipeline.answers import Answer, InvalidAnswerError
from pipeline.errors import SpecMismatchError, TransientError
from pipeline.events import Change, ImageRef, latest_of_each_image
from pipeline.records import Record

logger = logging.getLogger(__name__)

# Reads wait for S3, and Pillow frees the interpreter while it decodes. Four keep one vCPU busy;
# what they hold at once (four files at their byte limit, and their decoded pixels) decides the
# function's memory.
PARALLEL_IMAGES = 4


class Images(Protocol):
    """The bucket with the images."""

    def read(self, ref: ImageRef) -> bytes | Rejection | None:
        """Exactly that version, a rejection when it is too large, None when it is gone."""


class Endpoint(Protocol):
    """The model that answers."""

    def classify(self, body: bytes, spec: ImageSpec, image_count: int) -> list[Answer]: ...


class Predictions(Protocol):
    """The table that the answers go to."""

    def write(self, record: Record, ref: ImageRef) -> bool:
        """False when the table already holds this answer or a newer version's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one reference ended: a record (written, or known already), an error, or overtaken."""

    ref: ImageRef
    record: Record | None = None
    written: bool = False
    error: Exception | None = None


@dataclass(slots=True)
class ClassifyImages:
    """The adapters that the use case works with, and the endpoint's limit.

    ``spec`` starts as the deployed model's and is replaced when the endpoint reports a different
    model, so that only the first batch after a promotion is prepared twice.
    """

    images: Images
    prepare: Callable[[bytes, ImageSpec], Prepared | Rejection]
    endpoint: Endpoint
    predictions: Predictions
    spec: ImageSpec
    max_payload_bytes: int
    now: Callable[[], str]

    def run(
        self,
        refs: Sequence[ImageRef],
        out_of_time: Callable[[], bool],
        too_late_to_write: Callable[[], bool] = lambda: False,
    ) -> list[Outcome]:
        """One outcome per different reference. Never raises: each outcome carries its own error.

        ``out_of_time`` is asked before each read and each endpoint call, ``too_late_to_write``
        before each write after them; what they stop may be tried again.
        """
        current = latest_of_each_image(list(refs))
        overtaken = [Outcome(ref) for ref in dict.fromkeys(refs) if ref not in set(current)]
        created = [ref for ref in current if ref.change is Change.CREATED]
        removed = [ref for ref in current if ref.change is Change.REMOVED]
        with ThreadPoolExecutor(PARALLEL_IMAGES) as pool:
            batch = _Batch(self, pool, out_of_time, too_late_to_write)
            outcomes = batch.classify(created, self.spec)
            # After the others: the erasure of a version must find the row of that version.
            outcomes += pool.map(batch.bury, removed)
        return overtaken + outcomes


@dataclass(frozen=True, slots=True)
class _Batch:
    """One call of the use case, with its threads and its deadlines."""

    case: ClassifyImages
    pool: ThreadPoolExecutor
    out_of_time: Callable[[], bool]
    too_late_to_write: Callable[[], bool]

    def classify(
        self, refs: list[ImageRef], spec: ImageSpec, *, again: bool = False
    ) -> list[Outcome]:
        found = list(self.pool.map(partial(self._prepare, spec), refs))
        done = [each for each in found if isinstance(each, Outcome)]
        prepared = [
            (ref, each) for ref, each in zip(refs, found, strict=True) if isinstance(each, Prepared)
        ]
        for chunk in _chunks(prepared, spec, self.case.max_payload_bytes):
            done += self._ask(chunk, spec, again=again)
        return done

    def _ask(
        self, chunk: list[tuple[ImageRef, Prepared]], spec: ImageSpec, *, again: bool
    ) -> list[Outcome]:
        """One endpoint call, and the rows that follow from its answers."""
        try:
            _stop_when(self.out_of_time)
            body = encode_npy([each.pixels for _, each in chunk], spec)
            answers = self.case.endpoint.classify(body, spec, len(chunk))
        except InvalidAnswerError as error:  # a broken answer is not its neighbours'
            return self._record_valid(chunk, error)
        except SpecMismatchError as mismatch:
            if again:  # the endpoint was already asked with its own spec
                return [Outcome(ref, error=mismatch) for ref, _ in chunk]
            # The model behind the endpoint has changed since this function was deployed.
            logger.info("prepared again", extra={"image_spec": mismatch.expected.hash})
            self.case.spec = mismatch.expected
            return self.classify([ref for ref, _ in chunk], mismatch.expected, again=True)
        except Exception as error:  # noqa: BLE001 - each image carries it on
            return [Outcome(ref, error=error) for ref, _ in chunk]
        return list(self.pool.map(self._record, chunk, answers))

    def _record_valid(
        self, chunk: list[tuple[ImageRef, Prepared]], error: InvalidAnswerError
    ) -> list[Outcome]:
        answers = error.answers or [None] * len(chunk)
        return [
            self._record(image, answer) if answer else Outcome(image[0], error=error)
            for image, answer in zip(chunk, answers, strict=True)
        ]

    def _prepare(self, spec: ImageSpec, ref: ImageRef) -> Prepared | Outcome:
        try:
            _stop_when(self.out_of_time)
            data = self.case.images.read(ref)
            if data is None:
                return self._write(ref, records.deleted(ref, self.case.now(), reason="gone"))
            result = data if isinstance(data, Rejection) else self.case.prepare(data, spec)
            if isinstance(result, Rejection):
                return self._write(ref, records.rejected(ref, result, self.case.now()))
            return result
        except Exception as error:  # noqa: BLE001 - one image's fault is not its neighbours'
            return Outcome(ref, error=error)

    def _record(self, image: tuple[ImageRef, Prepared], answer: Answer) -> Outcome:
        ref, prepared = image
        try:
            _stop_when(self.too_late_to_write)
            return self._write(ref, records.classified(ref, prepared, answer, self.case.now()))
        except Exception as error:  # noqa: BLE001 - one image's fault is not its neighbours'
            return Outcome(ref, error=error)

    def bury(self, ref: ImageRef) -> Outcome:
        """Writes the tombstone of a removed image."""
        try:
            _stop_when(self.too_late_to_write)
            return self._write(ref, records.deleted(ref, self.case.now()))
        except Exception as error:  # noqa: BLE001 - one image's fault is not its neighbours'
            return Outcome(ref, error=error)

    def _write(self, ref: ImageRef, record: Record) -> Outcome:
        return Outcome(ref, record, written=self.case.predictions.write(record, ref))


def _chunks(
    prepared: list[tuple[ImageRef, Prepared]], spec: ImageSpec, max_payload_bytes: int
) -> Iterable[list[tuple[ImageRef, Prepared]]]:
    """As many images at a time as fit into one request."""
    npy_header_bytes = 128
    most = max(1, (max_payload_bytes - npy_header_bytes) // spec.image_bytes)
    for start in range(0, len(prepared), most):
        yield prepared[start : start + most]


def _stop_when(out_of_time: Callable[[], bool]) -> None:
    if out_of_time():
        raise TransientError("OutOfTime", "the function's time is nearly over")
