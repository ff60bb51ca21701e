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
    """Where the images lie."""

    def read(self, ref: ImageRef) -> bytes | Rejection | None:
        """Exactly that version, a rejection when it is too large, None when it is gone."""


class Endpoint(Protocol):
    """What knows the answers."""

    def classify(self, body: bytes, spec: ImageSpec, image_count: int) -> list[Answer]: ...


class Predictions(Protocol):
    """Where the answers go."""

    def write(self, record: Record, ref: ImageRef) -> bool:
        """False when the table already holds this answer or a newer version's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one reference ended: a record (written, or known already), an error, or overtaken."""

    ref: ImageRef
    record: Record | None = None
    written: bool = False
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class _Limits:
    """How the use case knows that it must stop."""

    out_of_time: Callable[[], bool]
    too_late_to_write: Callable[[], bool]


@dataclass(slots=True)
class ClassifyImages:
    """The adapters that the use case works with, and what it may not exceed.

    ``spec`` is that of the deployed model; once the endpoint has said that it has another model,
    that model's, so that only the first batch after a promotion is prepared twice.
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
        """One outcome for each different reference. No exception: each outcome carries its own.

        ``out_of_time`` is asked before each read and each endpoint call, ``too_late_to_write``
        before each write after them; what they stop may be tried again.
        """
        current = latest_of_each_image(list(refs))
        overtaken = [Outcome(ref) for ref in dict.fromkeys(refs) if ref not in set(current)]
        created = [ref for ref in current if ref.change is Change.CREATED]
        removed = [ref for ref in current if ref.change is Change.REMOVED]
        with ThreadPoolExecutor(PARALLEL_IMAGES) as pool:
            limits = _Limits(out_of_time, too_late_to_write)
            outcomes = self._classify(created, self.spec, pool, limits)
            # After the others: the erasure of a version must find the row of that version.
            outcomes += pool.map(partial(self._tombstone, limits), removed)
        return overtaken + outcomes

    def _classify(
        self,
        refs: list[ImageRef],
        spec: ImageSpec,
        pool: ThreadPoolExecutor,
        limits: _Limits,
        *,
        again: bool = False,
    ) -> list[Outcome]:
        found = list(pool.map(lambda ref: self._prepare(ref, spec, limits), refs))
        done = [each for each in found if isinstance(each, Outcome)]
        prepared = [
            (ref, each) for ref, each in zip(refs, found, strict=True) if isinstance(each, Prepared)
        ]
        for chunk in self._chunks(prepared, spec):
            try:
                _stop_when(limits.out_of_time)
                body = encode_npy([each.pixels for _, each in chunk], spec)
                answers = self.endpoint.classify(body, spec, len(chunk))
            except InvalidAnswerError as error:  # a broken answer is not its neighbours'
                answered = error.answers or [None] * len(chunk)
                for (ref, each), answer in zip(chunk, answered, strict=True):
                    done.append(
                        self._record(limits, (ref, each), answer)
                        if answer
                        else Outcome(ref, error=error)
                    )
            except SpecMismatchError as mismatch:
                if again:  # asked with the endpoint's own spec already
                    done += [Outcome(ref, error=mismatch) for ref, _ in chunk]
                    continue
                # The model behind the endpoint has changed since this function was deployed.
                logger.info("prepared again", extra={"image_spec": mismatch.expected.hash})
                self.spec = mismatch.expected
                refused = [ref for ref, _ in chunk]
                done += self._classify(refused, self.spec, pool, limits, again=True)
            except Exception as error:  # noqa: BLE001 - each image carries it on
                done += [Outcome(ref, error=error) for ref, _ in chunk]
            else:
                done += pool.map(partial(self._record, limits), chunk, answers)
        return done

    def _prepare(self, ref: ImageRef, spec: ImageSpec, limits: _Limits) -> Prepared | Outcome:
        try:
            _stop_when(limits.out_of_time)
            data = self.images.read(ref)
            if data is None:
                return self._write(ref, records.deleted(ref, self.now(), reason="gone"))
            result = data if isinstance(data, Rejection) else self.prepare(data, spec)
            if isinstance(result, Rejection):
                return self._write(ref, records.rejected(ref, result, self.now()))
            return result
        except Exception as error:  # noqa: BLE001 - one image's fault is not its neighbours'
            return Outcome(ref, error=error)

    def _chunks(
        self, prepared: list[tuple[ImageRef, Prepared]], spec: ImageSpec
    ) -> Iterable[list[tuple[ImageRef, Prepared]]]:
        npy_header_bytes = 128
        most = max(1, (self.max_payload_bytes - npy_header_bytes) // spec.image_bytes)
        for start in range(0, len(prepared), most):
            yield prepared[start : start + most]

    def _record(self, limits: _Limits, image: tuple[ImageRef, Prepared], answer: Answer) -> Outcome:
        ref, prepared = image
        try:
            _stop_when(limits.too_late_to_write)
            return self._write(ref, records.classified(ref, prepared, answer, self.now()))
        except Exception as error:  # noqa: BLE001 - one image's fault is not its neighbours'
            return Outcome(ref, error=error)

    def _tombstone(self, limits: _Limits, ref: ImageRef) -> Outcome:
        try:
            _stop_when(limits.too_late_to_write)
            return self._write(ref, records.deleted(ref, self.now()))
        except Exception as error:  # noqa: BLE001 - one image's fault is not its neighbours'
            return Outcome(ref, error=error)

    def _write(self, ref: ImageRef, record: Record) -> Outcome:
        return Outcome(ref, record, written=self.predictions.write(record, ref))


def _stop_when(out_of_time: Callable[[], bool]) -> None:
    if out_of_time():
        raise TransientError("OutOfTime", "the function's time is nearly over")
