"""Prepared images as lossless WebP, several in one body, without numpy.

Such a body has half the bytes of npy, and a serverless endpoint charges for them. Its format:
the number of images, the length of each file in bytes (both little-endian uint32), then the files
one after another. Measured beside other formats by bench/pixel_encodings.py.
"""

import io
from collections.abc import Sequence

from imaging.spec import ImageSpec

MEDIA_TYPE = "application/x-webp-batch"
NUMBER_BYTES = 4


def encode_webp(pixels: bytes, spec: ImageSpec) -> bytes:
    """Compresses one prepared image without loss.

    Args:
        pixels: uint8 RGB [size, size, 3], as in `Prepared.pixels`.

    Raises:
        ValueError: the pixels are not of the spec's size.
    """
    # Only a function that sends WebP loads Pillow.
    from PIL import Image, WebPImagePlugin  # noqa: F401, PLC0415 - the second registers WebP

    if len(pixels) != spec.image_bytes:
        raise ValueError(f"{len(pixels)} bytes, the image spec asks for {spec.image_bytes}")
    file = io.BytesIO()
    image = Image.frombuffer("RGB", (spec.size, spec.size), pixels, "raw", "RGB", 0, 1)
    # More effort (method, quality) costs more CPU than it saves in bytes.
    image.save(file, "WEBP", lossless=True, method=0, quality=0, exact=True)
    return file.getvalue()


def pack_webp(files: Sequence[bytes]) -> bytes:
    """Packs files of `encode_webp` into one body."""
    numbers = [len(files), *(len(file) for file in files)]
    return b"".join([*(each.to_bytes(NUMBER_BYTES, "little") for each in numbers), *files])
