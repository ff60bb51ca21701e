"""Distinguishes what other programs append to a JPEG from the data of a damaged scan. Damage can
make a decoder finish early, with the rest of the scan left over. What is appended
begins exactly where the picture ends, and with text or with the first bytes of another format.
"""

import re

# Encoders leave so many bytes behind a scan.
MOST_PADDING_BYTES = 4
# libjpeg reads up to so many bytes ahead, and does not count them as surplus.
_BYTES_AHEAD = 8
# Coded data are like random bytes: so many in a row are printable once in five million times.
_TEXT_BYTES = 16
_TEXT = re.compile(rb"[\t\n\r -~]*")
# Coded data of a plain area repeat one, two or three bytes, which may be printable.
_LEAST_DIFFERENT_BYTES = 5
_BEGINNINGS = re.compile(
    rb"....(ftyp|moov|mdat|free|wide|uuid)"  # boxes of MP4 (motion photos), MOV and HEIF
    rb"|PK\x03\x04|Rar!\x1a\x07|7z\xbc\xaf|\x1f\x8b\x08|RIFF|OggS|ID3"  # archives, sound, video
    rb"|\x89PNG\r\n|GIF8[79]a|%PDF-|II\*\0|MM\0\*"  # pictures and documents
    rb"|<\?xpacket|<\?xml |<x:xmpmeta|\xef\xbb\xbf"  # text that may soon not be ASCII
    rb"|\0\0..[\x01-\x40]\0\0\0[A-Za-z_]{8}",  # Samsung's blocks: kind, length of the name, name
    re.DOTALL,
)


def is_trailer(scan: bytes, surplus_bytes: int) -> bool:
    """Returns whether the last bytes of a scan's data were appended to a whole picture.

    Args:
        scan: the coded data, and what follows them.
        surplus_bytes: how many of them the decoder did not need.
    """
    begin = len(scan) - surplus_bytes
    first, last = max(0, begin - _BYTES_AHEAD), begin + MOST_PADDING_BYTES
    if any(_BEGINNINGS.match(scan, start) for start in range(first, last + 1)):
        return True
    padding = len(scan[begin:last]) - len(scan[begin:last].lstrip(b"\0"))
    return _is_text(scan[begin + padding :]) and not _is_text(scan[:begin][-_TEXT_BYTES:])


def _is_text(data: bytes) -> bool:
    """Whether the data begin with text. Text before the surplus shows a decoder lost in a text."""
    begins = data[:_TEXT_BYTES]
    is_varied = len(set(begins)) >= min(_LEAST_DIFFERENT_BYTES, len(begins))
    return is_varied and _TEXT.fullmatch(begins) is not None
