"""Decodes a JPEG with Pillow's libjpeg and reports libjpeg's warnings.

libjpeg fills in pixels that a damaged file does not hold, and counts a warning. Pillow has no way
to ask for that count (its source says "FIXME: add strictness mode test"), so it is read from
libjpeg's error manager, `struct jpeg_error_mgr` of jpeglib.h, a public and stable layout. The error
manager is searched for in Pillow's decoder, and tried on two small pictures before the first image:
a Pillow with another layout is an error here, never a wrong answer (docs/decisions/imaging.md).
"""

import ctypes
import io
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import PIL
from PIL import Image, _imaging
from PIL.JpegImagePlugin import JpegImageFile

_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)
# ImagingDecoderObject of Pillow's decode.c ends with: context, fd, im, lock, pulls_fd.
_CONTEXT_FROM_THE_END = 5
# JPEGSTATE of Pillow's Jpeg.h: short settings, then jpeg_decompress_struct, which begins with the
# address of the error manager; the error manager follows.
_SETTINGS_POINTERS = 8
_MOST_BYTES_TO_ERROR_MANAGER = 2048


class _ErrorManager(ctypes.Structure):
    """`struct jpeg_error_mgr`, up to the table of messages."""

    _fields_ = (
        ("functions", ctypes.c_void_p * 5),
        ("message_code", ctypes.c_int),
        ("message_parameters", ctypes.c_int * 20),
        ("trace_level", ctypes.c_int),
        ("warning_count", ctypes.c_long),
        ("messages", ctypes.POINTER(ctypes.c_char_p)),
        ("last_message_code", ctypes.c_int),
    )


@dataclass(frozen=True, slots=True)
class Message:
    """The last message of libjpeg: its text, with C's placeholders, and the first two
    parameters."""

    text: str
    parameters: tuple[int, int]

    def __str__(self) -> str:
        return self.text % self.parameters[: self.text.count("%")]


class LibjpegDecoder:
    """libjpeg by way of Pillow, fed piece by piece."""

    def __init__(self, image: JpegImageFile) -> None:
        """Prepares to decode `image`, an opened and not yet loaded file, as its `draft` says."""
        (tile,) = image.tile
        raw_mode, *how = cast(tuple[object, ...], tile.args)
        # Pillow keeps RGB in four bytes; libjpeg writes them faster than Pillow unpacks three.
        raw_mode = "RGBX" if raw_mode == "RGB" else raw_mode
        how = [raw_mode, *how, *getattr(image, "decoderconfig", ())]
        self.pixels = Image.new(image.mode, image.size, None)
        self.finished = False
        """Whether every pixel is decoded; libjpeg takes no more data then."""
        self._decoder = _imaging.jpeg_decoder(image.mode, *how)
        self._decoder.setimage(self.pixels.im, (0, 0, *image.size))
        self._left_over: bytes | memoryview = b""
        self._errors: _ErrorManager | None = None

    def feed(self, data: bytes | memoryview) -> None:
        """Decodes as far as the data reach.

        Raises:
            OSError: libjpeg gave up on the file.
        """
        data = b"".join([self._left_over, data]) if self._left_over else data
        consumed, error_code = self._decoder.decode(data)
        if error_code < 0:
            raise OSError("libjpeg cannot read on")
        self._errors = self._errors or _find_error_manager(self._decoder)
        self.finished = consumed < 0
        self._left_over = b"" if self.finished else data[consumed:]

    @property
    def warning_count(self) -> int:
        """Warnings so far."""
        return self._errors.warning_count if self._errors else 0

    @property
    def last_message(self) -> Message:
        """The last warning, if nothing else was said since."""
        if self._errors is None:
            raise ValueError("nothing was decoded")
        text = self._errors.messages[self._errors.message_code] or b""
        first, second = self._errors.message_parameters[:2]
        return Message(text.decode("ascii", "replace"), (first, second))

    def close(self) -> None:
        """Frees libjpeg's memory."""
        self._errors = None
        self._decoder.cleanup()


def _find_error_manager(decoder: Any) -> _ErrorManager:
    size = type(decoder).__basicsize__ // _POINTER_BYTES
    fields = (ctypes.c_void_p * size).from_address(id(decoder))
    context = fields[size - _CONTEXT_FROM_THE_END]
    if context:
        for address in (ctypes.c_void_p * _SETTINGS_POINTERS).from_address(context):
            if address and context < address < context + _MOST_BYTES_TO_ERROR_MANAGER:
                return _ErrorManager.from_address(address)
    raise RuntimeError(f"libjpeg's warnings cannot be found in Pillow {PIL.__version__}")


@cache
def require_warnings() -> None:
    """Raises RuntimeError if this Pillow does not report damage; tried once per process."""
    file = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(file, "JPEG")
    whole = file.getvalue()
    half = whole[: len(whole) // 2] + whole[-2:]
    if _warnings(whole) != 0 or _warnings(half) != 1:
        raise RuntimeError(f"libjpeg's warnings cannot be read in Pillow {PIL.__version__}")


def _warnings(data: bytes) -> int:
    decoder = LibjpegDecoder(JpegImageFile(io.BytesIO(data)))
    try:
        decoder.feed(data)
        return decoder.warning_count
    finally:
        decoder.close()
