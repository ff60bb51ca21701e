"""A request body of lossless WebP files, read strictly (format: `imaging.webp_batch`).

Sizes are checked in the bytes before anything is decoded: each file must be a single lossless image
of exactly the spec's size, so what a body decodes to is known from its first number.
WebP lossless: https://developers.google.com/speed/webp/docs/webp_lossless_bitstream_specification
"""

from __future__ import annotations

import io
from itertools import accumulate, pairwise

import numpy as np
from PIL import Image, WebPImagePlugin

from imaging import ImageSpec
from imaging.webp_batch import NUMBER_BYTES
from model.serving.onnx_model import Images
from model.serving.requests import RefusalError

# RIFF, its length, WEBP, VP8L, its length, the signature, and the sizes with two flags.
FILE_HEADER_BYTES = 25
SIGNATURE = 0x2F
SIZE_BITS = 14


def read_webp_batch(
    body: bytes | bytearray, spec: ImageSpec, max_decoded_bytes: int
) -> list[memoryview]:
    """Returns the files of a body, none of them decoded; each will be one image of the spec's size.

    Raises:
        RefusalError: 400 ``malformed_webp_batch`` for anything else, 413 for too many images.
    """
    view = memoryview(body)
    count = _number(view, 0)
    if count < 1:
        raise _malformed("the body has no images")
    if count * spec.image_bytes > max_decoded_bytes:
        message = f"{count} images are more than {max_decoded_bytes} bytes of pixels"
        raise RefusalError(413, "too_large", message)
    start = NUMBER_BYTES * (1 + count)
    lengths = [_number(view, NUMBER_BYTES * (1 + index)) for index in range(count)]
    if start + sum(lengths) != len(view):
        raise _malformed(f"{start + sum(lengths)} bytes announced, {len(view)} sent")
    offsets = accumulate(lengths, initial=start)
    files = [view[first:last] for first, last in pairwise(offsets)]
    for index, file in enumerate(files):
        _check_file(bytes(file[:FILE_HEADER_BYTES]), len(file), spec, index)
    return files


def decode_webp(files: list[memoryview], spec: ImageSpec) -> Images:
    """Decodes files of `read_webp_batch` to uint8 ``[n, size, size, 3]``.

    Raises:
        RefusalError: 400 ``malformed_webp_batch`` for a file that is damaged.
    """
    images = np.empty((len(files), spec.size, spec.size, 3), dtype=np.uint8)
    for index, file in enumerate(files):
        try:
            with WebPImagePlugin.WebPImageFile(io.BytesIO(file)) as picture:
                images[index] = _pixels(picture, spec)
        except (OSError, ValueError, SyntaxError) as error:
            raise _malformed(f"image {index} cannot be decoded") from error
    return images


def _pixels(picture: Image.Image, spec: ImageSpec) -> Images:
    if picture.mode != "RGB" or picture.size != (spec.size, spec.size):
        raise ValueError(f"{picture.mode} {picture.size}")
    pixels: Images = np.asarray(picture)
    return pixels


def _number(view: memoryview, offset: int) -> int:
    if offset + NUMBER_BYTES > len(view):
        raise _malformed("the header is cut off")
    return int.from_bytes(view[offset : offset + NUMBER_BYTES], "little")


def _check_file(header: bytes, length: int, spec: ImageSpec, index: int) -> None:
    is_lossless = header[:4] == b"RIFF" and header[8:16] == b"WEBPVP8L"
    if len(header) < FILE_HEADER_BYTES or not is_lossless or header[20] != SIGNATURE:
        raise _malformed(f"image {index} is not one lossless WebP image")
    chunk_bytes = int.from_bytes(header[16:20], "little")
    padded_bytes = chunk_bytes + chunk_bytes % 2  # a RIFF chunk ends at an even offset
    if int.from_bytes(header[4:8], "little") != length - 8 or padded_bytes != length - 20:
        raise _malformed(f"image {index} does not have the length that its header announces")
    bits = int.from_bytes(header[21:25], "little")
    mask = (1 << SIZE_BITS) - 1
    size = (bits & mask) + 1, (bits >> SIZE_BITS & mask) + 1
    if size != (spec.size, spec.size):
        raise _malformed(f"image {index} is {size[0]} x {size[1]}, not {spec.size} x {spec.size}")
    if bits >> 2 * SIZE_BITS:
        raise _malformed(f"image {index} has transparency or an unknown version")


def _malformed(message: str) -> RefusalError:
    return RefusalError(400, "malformed_webp_batch", message)
