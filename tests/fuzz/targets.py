"""The fuzz targets: each takes any bytes and raises when a promise is broken.

The promise is the same everywhere: a result that is well formed, or an error that is documented.
No target needs atheris, so that `make test` runs them on their seeds and on every crash that was
ever found (``crashes/``).
"""

from __future__ import annotations

import copy
import io
import json
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from imaging import ImageSpec, Prepared, Rejection, prepare
from model.serving.npy import read_images
from model.serving.requests import (
    ClientGoneError,
    RefusalError,
    announced_bytes,
    parse_content_type,
    read_body,
)
from pipeline.answers import InvalidAnswerError, parse_answers
from pipeline.errors import UnknownEventError
from pipeline.events import ImageRef, latest_of_each_image, parse_queue_body
from tests.bombs import bombs, healthy
from tests.s3_events import queue_body, s3_record

SPEC = ImageSpec(8, 8, "center", "bilinear", (127.0,) * 3, (128.0,) * 3, "NHWC")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SEED_BYTES = 20_000  # small files are tried more often
BODY_LIMIT_BYTES = 1000

# Replacements for a member of a JSON document; the first byte of an input selects one.
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**30, 1e308, float("inf"), float("nan"), "", "\ud800", "\0", "%zz+%"),
    *([], {}, [[]], {"a": None}, "x" * 5000, "ObjectCreated:", "s3:TestEvent", "\u202e"),
)


def image(data: bytes) -> None:
    """`imaging.prepare`: an outcome for every file, and not even a warning."""
    _check_outcome(data)
    # A changed PNG is refused by its checksums, and what is behind them would never be reached.
    if data.startswith(PNG_SIGNATURE):
        _check_outcome(_with_checksums(data))


def _check_outcome(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = prepare(data, SPEC)
    if isinstance(outcome, Prepared):
        assert len(outcome.pixels) == SPEC.image_bytes
        assert min(outcome.width, outcome.height) > 0
    else:
        assert isinstance(outcome, Rejection)
        outcome.detail.encode()


def _with_checksums(png: bytes) -> bytes:
    """The same chunks, each with the checksum that it should have."""
    parts, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, position)
        named = png[position + 4 : position + 8 + length]
        parts += [png[position : position + 4], named, struct.pack(">I", zlib.crc32(named))]
        position += 12 + length
    return b"".join(parts)


def npy_body(data: bytes) -> None:
    """The endpoint's npy reader: an array of images, or 400."""
    try:
        images = read_images(data, SPEC)
    except RefusalError as refusal:
        assert refusal.status == 400  # noqa: PT017 - part of the promise
        json.loads(refusal.body())
        return
    assert images.dtype == np.uint8
    assert images.shape[1:] == (SPEC.size, SPEC.size, 3)


def request(data: bytes) -> None:
    """The endpoint's headers and chunks: a content type, and a body within its limit or 413."""
    length, _, rest = data.partition(b"\n")
    content_type, _, body = rest.partition(b"\n")
    media_type, _spec_hash = parse_content_type(content_type.decode("latin-1"))
    assert media_type == media_type.strip().lower()
    messages = [{"type": "http.request", "body": each, "more_body": True} for each in body.split()]
    messages.append({"type": "http.request"} if data else {"type": "http.disconnect"})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    try:
        capacity = announced_bytes({"headers": [(b"content-length", length)]}, BODY_LIMIT_BYTES)
        assert 0 <= capacity <= BODY_LIMIT_BYTES
        reading = read_body(receive, capacity)
        try:
            reading.send(None)
        except StopIteration as done:
            assert len(done.value) <= capacity  # noqa: PT017 - it is how a coroutine returns
    except RefusalError as refusal:
        assert refusal.status == 413  # noqa: PT017 - part of the promise
    except ClientGoneError:
        assert not data


def event(data: bytes) -> None:
    """A queue message: references that can be used, or UnknownEventError."""
    try:
        refs = parse_queue_body(_document(data, json.loads(_EVENT)))
    except UnknownEventError as error:
        str(error)
        return
    for ref in refs:
        assert isinstance(ref, ImageRef)
        for text in (ref.image, ref.version, ref.sequencer, ref.received_at):
            text.encode()
        assert ref.size_bytes >= 0
    assert set(latest_of_each_image(refs)) <= set(refs)


def answer(data: bytes) -> None:
    """The endpoint's answer as the function reads it: answers, or InvalidAnswerError."""
    try:
        answers = parse_answers(_document(data, json.loads(_ANSWER)).encode(errors="replace"), 1)
    except InvalidAnswerError as error:
        str(error)
        return
    (only,) = answers
    assert 0 <= only.confidence <= 1
    assert only.label and only.model and only.predictions  # noqa: PT018


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (image, npy_body, request, event, answer)
}


def seeds(target: str) -> Iterator[bytes]:
    """Inputs to begin with."""
    if target == "image":
        yield from healthy().values()
        yield from (data for _, data in bombs() if len(data) < SEED_BYTES)
    elif target == "npy_body":
        for count in (1, 2):
            file = io.BytesIO()
            np.save(file, np.zeros((count, SPEC.size, SPEC.size, 3), dtype=np.uint8))
            yield file.getvalue()
    elif target == "request":
        yield b"5\napplication/x-npy; spec=0123456789abcdef\nab cde"
        yield b"\nimage/jpeg\nab cde"
        yield b"1001\nIMAGE/PNG ; charset=utf-8\nab"
    elif target == "event":
        yield b"\0" + _EVENT.encode()
        yield from (bytes((1, place, odd)) for place in range(24) for odd in range(len(ODD_VALUES)))
    elif target == "answer":
        yield b"\0" + _ANSWER.encode()
        yield from (bytes((1, place, odd)) for place in range(9) for odd in range(len(ODD_VALUES)))


_EVENT = queue_body(
    s3_record(), s3_record("a b+c%20é.jpg", event="ObjectRemoved:Delete"), s3_record(version=None)
)
_ANSWER = json.dumps(
    [
        {
            "label": "pug",
            "confidence": 0.9,
            "predictions": [{"label": "pug", "confidence": 0.9}],
            "model": "dogs@1",
        }
    ]
)


def _document(data: bytes, valid: Any) -> str:
    """JSON text: what is there after a byte 0, else `valid` with odd values in some of its places.

    A fuzzer that changes bytes rarely gets past the JSON parser.
    """
    if not data or data[0] == 0:
        return data[1:].decode("utf-8", "surrogateescape")
    for where, odd in zip(data[1::2], data[2::2], strict=False):
        places = list(_places(valid))
        container, key = places[where % len(places)]
        container[key] = copy.deepcopy(ODD_VALUES[odd % len(ODD_VALUES)])
    return json.dumps(valid)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every member of every object and list: its container and its key."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in list(members):
        yield value, key
        if isinstance(member, dict | list):
            yield from _places(member)
