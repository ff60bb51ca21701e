"""Recognises an image's format by its first bytes, never by its name."""

import re

# `prepare` reads the first six. The others are named so that a rejection can name the format: GIFs
# are rarely photos, Pillow's TIFF reader accepts too many kinds of crafted files, and for the rest
# Pillow needs code that it does not ship.
_FIRST_BYTES = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "AVIF": re.compile(rb"....ftyp(avi[fs]|mif1....(....){0,8}avif)", re.DOTALL),
    "HEIF": re.compile(
        rb"....ftyp(hei[cmsx]|hev[cmsx]|mif[12]|msf1|miaf|avc[is]|jp[eg][gs]|unif)", re.DOTALL
    ),
    # The size of the file, two reserved fields that some programs use, the place of the pixels, the
    # length of one of the headers that there are.
    "BMP": re.compile(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL),
    "GIF": re.compile(rb"GIF8[79]a"),
    "TIFF": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "JPEG2000": re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    "JPEGXL": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    "ICO": re.compile(rb"\0\0[\1\2]\0[^\0]\0"),
    "PSD": re.compile(rb"8BPS\0[\1\2]"),
    "SVG": re.compile(rb"\s*(<\?xml[^>]*>\s*)?<svg[\s>]"),
}
_SNIFFED_BYTES = 1024


def sniff_format(data: bytes) -> str | None:
    """Returns the name of the format that `data` begins like; None if it is not an image."""
    start = data[:_SNIFFED_BYTES]
    return next((name for name, pattern in _FIRST_BYTES.items() if pattern.match(start)), None)
