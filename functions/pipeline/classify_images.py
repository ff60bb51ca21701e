"""The use case: changed images in, rows out, one endpoint call for all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from imaging import ImageSpec, Prepared, Rejection
from imaging.appearance import appearance_of
from imaging.pixel_encoding import NPY, PixelEncoding
from pipeline import records
from pipeline.answers import Answer, InvalidAnswerError
from pipeline.errors import SpecMismatchError, TransientError, UnsupportedEncodingError
from pipeline.events import Change, ImageRef, latest_of_each_image
from pipeline.records import Record

logger = logging.getLogger(__name__)

# Reads wait for S3, and Pillow releases the interpreter lock while it decodes. Four keep one vCPU
# busy. The function's memory must hold four files at their byte limit and their decoded pixels.
PARALLEL_IMAGES = 4
# The endpoint refuses a call with more bytes of pixels: `Limits` in model/serving/app.py.
MAX_DECODED_BYTES = 20 * 1024 * 1024


class Images(Protocol):
    """The bucket with the images."""

    def read(self, ref: ImageRef) -> bytes | Rejection | None:
        """Reads exactly that version; a rejection when it is too large, None when it is gone."""


class Endpoint(Protocol):
    """The model that answers."""

    def classify(
        self, body: bytes, spec: ImageSpec, image_count: int, encoding: PixelEncoding = NPY
    ) -> list[Answer]: ...


class Predictions(Protocol):
    """The table of predictions."""

    def write(self, record: Record, ref: ImageRef) -> bool:
        """Writes an answer; returns False if the table has it already, or a newer version's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one reference: a record (new or known), an error, or superseded."""

    ref: ImageRef
    record: Record | None = None
    written: bool = False
    error: Exception | None = None


@dataclass(slots=True)
class ClassifyImages:
    """The adapters that the use case works with, and the endpoint's limit.

    ``spec`` starts as the deployed model's and is replaced when the endpoint reports a different
    model, so that only the first batch after a promotion is prepared twice. ``encoding`` is
    replaced by npy, until this environment ends, when the endpoint's model is older and does not
    know it.
    """

    images: Images
    prepare: Callable[[bytes, ImageSpec], Prepared | Rejection]
    endpoint: Endpoint
    predictions: Predictions
    spec: ImageSpec
    encoding: PixelEncoding
    max_payload_bytes: int
    now: Callable[[], str]

    def run(
        self,
        refs: Sequence[ImageRef],
        out_of_time: Callable[[], bool],
        too_late_to_write: Callable[[], bool] = lambda: False,
        too_late_to_read: Callable[[], bool] = lambda: False,
    ) -> list[Outcome]:
        """Classifies images; returns one outcome per distinct reference. Never raises.

        ``out_of_time`` is checked before each read and each endpoint call, ``too_late_to_write``
        before each write after them. ``too_late_to_read`` stops reads earlier, so that the images
        of a slow batch that are prepared still reach the endpoint. Images that they stop can be
        retried.
        """
        current = latest_of_each_image(list(refs))
        overtaken = [Outcome(ref) for ref in dict.fromkeys(refs) if ref not in set(current)]
        created = [ref for ref in current if ref.change is Change.CREATED]
        removed = [ref for ref in current if ref.change is Change.REMOVED]
        with ThreadPoolExecutor(PARALLEL_IMAGES) as pool:
            batch = _Batch(self, pool, out_of_time, too_late_to_write, too_late_to_read)
            outcomes = batch.classify(created, self.spec)
            # Last, because the erasure of a version must find the row of that version.
            outcomes += pool.map(batch.bury, removed)
        return overtaken + outcomes


@dataclass(frozen=True, slots=True)
class _Ready:
    """An image that waits for its endpoint call; ``encoded`` is its part of the body."""

    ref: ImageRef
    prepared: Prepared
    encoded: bytes


@dataclass(frozen=True, slots=True)
class _Batch:
    """One call of the use case, with its threads and its deadlines."""

    case: ClassifyImages
    pool: ThreadPoolExecutor
    out_of_time: Callable[[], bool]
    too_late_to_write: Callable[[], bool]
    too_late_to_read: Callable[[], bool]

    def classify(
        self, refs: list[ImageRef], spec: ImageSpec, *, again: bool = False
    ) -> list[Outcome]:
        encoding = self.case.encoding
        found = list(self.pool.map(partial(self._prepare, spec, encoding), refs))
        done = [each for each in found if isinstance(each, Outcome)]
        ready = [each for each in found if isinstance(each, _Ready)]
        return done + self._ask_all(ready, spec, encoding, again=again)

    def _ask_all(
        self, ready: list[_Ready], spec: ImageSpec, encoding: PixelEncoding, *, again: bool
    ) -> list[Outcome]:
        """Calls the endpoint as few times as the limit of a request allows."""
        done: list[Outcome] = []
        for chunk in _chunks(ready, encoding, self.case.max_payload_bytes):
            done += self._ask(chunk, spec, encoding, again=again)
        return done

    def _ask(
        self, chunk: list[_Ready], spec: ImageSpec, encoding: PixelEncoding, *, again: bool
    ) -> list[Outcome]:
        """Calls the endpoint once and writes the rows."""
        try:
            _stop_when(self.out_of_time)
            body = encoding.pack([each.encoded for each in chunk], spec)
            answers = self.case.endpoint.classify(body, spec, len(chunk), encoding)
        except InvalidAnswerError as error:  # the valid answers beside it count
            return self._record_valid(chunk, error)
        except SpecMismatchError as mismatch:
            if again:  # the endpoint was already asked with its own spec
                return [Outcome(each.ref, error=mismatch) for each in chunk]
            # The endpoint has another model since this function was deployed.
            logger.info("prepared again", extra={"image_spec": mismatch.expected.hash})
            self.case.spec = mismatch.expected
            return self.classify([each.ref for each in chunk], mismatch.expected, again=True)
        except UnsupportedEncodingError as error:
            logger.info("the endpoint's model is older: npy", extra={"refused": str(error)})
            self.case.encoding = NPY
            as_npy = [replace(each, encoded=each.prepared.pixels) for each in chunk]
            return self._ask_all(as_npy, spec, NPY, again=again)
        except Exception as error:  # noqa: BLE001 - each image carries it on
            return [Outcome(each.ref, error=error) for each in chunk]
        return list(self.pool.map(self._record, chunk, answers))

    def _record_valid(self, chunk: list[_Ready], error: InvalidAnswerError) -> list[Outcome]:
        answers = error.answers or [None] * len(chunk)
        return [
            self._record(image, answer) if answer else Outcome(image.ref, error=error)
            for image, answer in zip(chunk, answers, strict=True)
        ]

    def _prepare(self, spec: ImageSpec, encoding: PixelEncoding, ref: ImageRef) -> _Ready | Outcome:
        try:
            _stop_when(self.out_of_time)
            _stop_when(self.too_late_to_read)
            data = self.case.images.read(ref)
            if data is None:
                return self._write(ref, records.deleted(ref, self.case.now(), reason="gone"))
            result = data if isinstance(data, Rejection) else self.case.prepare(data, spec)
            if isinstance(result, Rejection):
                return self._write(ref, records.rejected(ref, result, self.case.now()))
            return _Ready(ref, result, encoding.encode(result.pixels, spec))
        except Exception as error:  # noqa: BLE001 - one image's fault is not its neighbours'
            return Outcome(ref, error=error)

    def _record(self, image: _Ready, answer: Answer) -> Outcome:
        ref = image.ref
        try:
            _stop_when(self.too_late_to_write)
            record = records.classified(
                ref,
                image.prepared,
                answer,
                self.case.now(),
                appearance=appearance_of(image.prepared.pixels),
            )
            return self._write(ref, record)
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
    ready: list[_Ready], encoding: PixelEncoding, max_payload_bytes: int
) -> Iterable[list[_Ready]]:
    """Yields as many images at a time as fit into one request."""
    chunk: list[_Ready] = []
    size, pixels = encoding.header_bytes, 0
    for each in ready:
        added, decoded = encoding.image_header_bytes + len(each.encoded), len(each.prepared.pixels)
        if chunk and (size + added > max_payload_bytes or pixels + decoded > MAX_DECODED_BYTES):
            yield chunk
            chunk, size, pixels = [], encoding.header_bytes, 0
        chunk.append(each)
        size += added
        pixels += decoded
    if chunk:
        yield chunk


def _stop_when(out_of_time: Callable[[], bool]) -> None:
    if out_of_time():
        raise TransientError("OutOfTime", "the function's time is nearly over")
