"""Decodes one HEVC picture with libde265, which comes with the package `pi_heif`.

libde265 is called directly (`libde265/de265.h`, a public and stable interface). libheif, which
pi_heif is made for, would parse the container a second time, and it hides damage: libde265 makes up
the pixels that a damaged file does not hold and queues a warning, which libheif drops.
"""

import ctypes
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from imaging.outcome import RejectReason, Unusable

_OUT_OF_MEMORY = 7  # DE265_ERROR_OUT_OF_MEMORY

_pointer, _int = ctypes.c_void_p, ctypes.c_int


@dataclass(frozen=True, slots=True)
class Plane:
    """The samples of one component. They end with the decoder."""

    size: tuple[int, int]
    """Width and height, samples."""
    bits: int
    """Of a sample; it takes two bytes if they are more than 8."""
    row_bytes: int
    samples: memoryview


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture."""

    planes: list[Plane]
    """Luma, and both planes of chroma if there is any."""
    matrix: int
    """How the picture itself says that YCbCr is meant (ITU-T H.273, table 4)."""
    is_full_range: bool
    """Whether it says that samples use their whole range."""


def is_available() -> bool:
    """Returns whether this Python has pi_heif."""
    return importlib.util.find_spec("_pi_heif") is not None


@contextmanager
def decoded(units: list[bytes], plane_count: int) -> Iterator[Decoded]:
    """Decodes the picture that these NAL units hold; frees it at the end.

    Parts that no slice covers have zeros in every plane.

    Raises:
        Unusable: the picture is damaged.
        MemoryError: there is not enough.
    """
    library = _library()
    with _decoder(library) as decoder:
        for unit in units:
            _check(library.de265_push_NAL(decoder, unit, len(unit), 0, None))
        _check(library.de265_flush_data(decoder))
        image = _picture(library, decoder, len(units))
        yield Decoded(
            [_plane(library, image, number) for number in range(plane_count)],
            library.de265_get_image_matrix_coefficients(image),
            bool(library.de265_get_image_full_range_flag(image)),
        )


@contextmanager
def _decoder(library: ctypes.CDLL) -> Iterator[int]:
    decoder = library.de265_new_decoder()
    if not decoder:
        raise MemoryError
    try:
        yield decoder
    finally:
        library.de265_free_decoder(decoder)


def _picture(library: ctypes.CDLL, decoder: int, unit_count: int) -> int:
    """Decodes all that was pushed; returns the only picture."""
    more = _int(1)
    for _call in range(unit_count + 1):
        _check(library.de265_decode(decoder, ctypes.byref(more)))
        if not more.value:
            break
    _check(library.de265_get_warning(decoder))
    image: int | None = library.de265_get_next_picture(decoder)
    if not image:
        raise Unusable(RejectReason.CORRUPT, "libde265 finds no picture")
    return image


def _plane(library: ctypes.CDLL, image: int, number: int) -> Plane:
    stride = _int()
    address = library.de265_get_image_plane(image, number, ctypes.byref(stride))
    width = library.de265_get_image_width(image, number)
    height = library.de265_get_image_height(image, number)
    if not address:
        raise Unusable(RejectReason.CORRUPT, "libde265 finds a picture without colours")
    samples = (ctypes.c_ubyte * (stride.value * height)).from_address(address)
    bits = library.de265_get_bits_per_pixel(image, number)
    return Plane((width, height), bits, stride.value, memoryview(samples).cast("B"))


def _check(code: int) -> None:
    """Raises what libde265's error or warning means."""
    if code == _OUT_OF_MEMORY:
        raise MemoryError
    if code:
        text = _library().de265_get_error_text(code).decode(errors="replace")
        raise Unusable(RejectReason.CORRUPT, f"libde265: {text}")


@cache
def _library() -> ctypes.CDLL:
    extension = importlib.util.find_spec("_pi_heif")
    if extension is None or extension.origin is None:
        raise RuntimeError("the package pi-heif is not installed")
    # A name is also looked up in the libraries that the extension is linked with.
    library = ctypes.CDLL(extension.origin)
    for name, result, *arguments in (
        ("de265_new_decoder", _pointer),
        ("de265_free_decoder", _int, _pointer),
        (
            "de265_push_NAL",
            *(_int, _pointer, ctypes.c_char_p, _int, ctypes.c_int64, _pointer),
        ),
        ("de265_flush_data", _int, _pointer),
        ("de265_decode", _int, _pointer, ctypes.POINTER(_int)),
        ("de265_get_warning", _int, _pointer),
        ("de265_get_error_text", ctypes.c_char_p, _int),
        ("de265_get_next_picture", _pointer, _pointer),
        ("de265_get_image_plane", _pointer, _pointer, _int, ctypes.POINTER(_int)),
        ("de265_get_image_width", _int, _pointer, _int),
        ("de265_get_image_height", _int, _pointer, _int),
        ("de265_get_bits_per_pixel", _int, _pointer, _int),
        ("de265_get_image_matrix_coefficients", _int, _pointer),
        ("de265_get_image_full_range_flag", _int, _pointer),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
