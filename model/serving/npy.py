"""The pipeline's request body: images in NumPy's npy format, read strictly.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
``numpy.load`` is not used: it evaluates the header as Python and accepts pickles, object arrays
and any dtype, whereas exactly one kind of array is accepted here.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from imaging import ImageSpec
from model.serving.requests import RefusalError

MAGIC = b"\x93NUMPY"
HEADER_SIZE_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4}  # version -> width of the length field
# The header of a uint8 array with four dimensions takes 118 bytes (padded to 64).
MAX_HEADER_BYTES = 1024
HEADER = re.compile(
    rb"\{'descr': '([^'\\]{1,16})', 'fortran_order': (True|False), "
    rb"'shape': \(([0-9, ]{0,80})\), ?\} *\n"
)


def read_images(body: bytes | bytearray, spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Returns uint8 ``[n, size, size, 3]``, n ≥ 1, as a view of `body` without a copy.

    Raises:
        RefusalError: 400 ``malformed_npy`` for anything else.
    """
    start, header = _header(body)
    dtype, fortran_order, shape = _fields(header)
    if dtype not in {"|u1", "u1", "<u1", ">u1"}:
        raise _malformed(f"the dtype must be uint8, not {dtype}")
    if fortran_order:
        raise _malformed("the array must be in C order")
    if len(shape) != 4 or shape[1:] != (spec.size, spec.size, 3) or shape[0] < 1:
        raise _malformed(f"the shape must be [n, {spec.size}, {spec.size}, 3], not {list(shape)}")
    expected = shape[0] * spec.image_bytes
    if len(body) - start != expected:
        raise _malformed(f"{expected} bytes of pixels announced, {len(body) - start} sent")
    return np.frombuffer(body, dtype=np.uint8, offset=start).reshape(shape)


def _header(body: bytes | bytearray) -> tuple[int, bytes]:
    """Returns the offset of the pixels and the header's text."""
    if body[:6] != MAGIC:
        raise _malformed("the body does not begin like an npy file")
    width = HEADER_SIZE_BYTES.get(bytes(body[6:8]))
    if width is None:
        raise _malformed("the npy format version must be 1.0 or 2.0")
    length = int.from_bytes(body[8 : 8 + width], "little")
    start = 8 + width + length
    if length > MAX_HEADER_BYTES or start > len(body):
        raise _malformed("the npy header is too long or cut off")
    return start, bytes(body[8 + width : start])


def _fields(header: bytes) -> tuple[str, bool, tuple[int, ...]]:
    match = HEADER.fullmatch(header)
    if match is None:
        raise _malformed("the npy header is not what numpy.save writes for a plain array")
    dtype, order, shape = match.groups()
    # At most 18 digits each: no body is longer, and int() stays fast.
    sizes = [part.strip() for part in shape.split(b",") if part.strip()]
    if any(not part.isdigit() or len(part) > 18 for part in sizes):
        raise _malformed("the shape in the npy header is not readable")
    return dtype.decode("ascii", "replace"), order == b"True", tuple(int(part) for part in sizes)


def _malformed(message: str) -> RefusalError:
    return RefusalError(400, "malformed_npy", message)
