"""The npy file format, version 1.0, without numpy: the endpoint's request body."""

from collections.abc import Sequence

from imaging.spec import ImageSpec

_MAGIC = b"\x93NUMPY\x01\x00"
# The format asks for data that begins at a multiple of 64 bytes (numpy.lib.format).
_ALIGNMENT = 64


def encode_npy(images: Sequence[bytes], spec: ImageSpec) -> bytes:
    """Packs prepared images into one npy file: uint8 [n, size, size, 3].

    `images` are `Prepared.pixels`. ValueError if one is not exactly of the spec's size.
    """
    for index, image in enumerate(images):
        if len(image) != spec.image_bytes:
            raise ValueError(
                f"image {index} has {len(image)} bytes, the image spec asks for {spec.image_bytes}"
            )
    return b"".join([_header((len(images), spec.size, spec.size, 3)), *images])


def _header(shape: tuple[int, ...]) -> bytes:
    fields = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    length_bytes = 2
    unpadded = len(_MAGIC) + length_bytes + len(fields) + 1
    fields += b" " * (-unpadded % _ALIGNMENT) + b"\n"
    return _MAGIC + len(fields).to_bytes(length_bytes, "little") + fields
