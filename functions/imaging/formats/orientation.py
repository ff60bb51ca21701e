"""Reads how a stored image is turned to be displayed: EXIF tag 0x0112, or the same in XMP.

Pillow does not read it, because its EXIF reader parses every tag of an untrusted block and reports
problems as Python warnings.

The numbers are EXIF's own (EXIF 2.32, 4.6.4 A): 1 as stored, 2 mirrored left to right, 3 turned by
180 degrees, 4 mirrored top to bottom, 5 mirrored along the main diagonal, 6 to be turned by 90
degrees clockwise, 7 mirrored along the other diagonal, 8 to be turned by 90 degrees anticlockwise.
"""

import struct

from imaging.formats.xmp import read_xmp_value

AS_STORED = 1

_ORIENTATION_TAG = 0x0112
# TIFF's whole-number types and their bytes. The standard asks for SHORT; some tools write others.
_TYPE_BYTES = {1: 1, 3: 2, 4: 4, 6: 1, 8: 2, 9: 4}
_ORIENTATIONS = tuple("12345678")
_TIFF_NAMESPACE, _TIFF_PREFIX = "http://ns.adobe.com/tiff/1.0/", "tiff"


def read_orientation(exif: bytes | None, *xmp_packets: bytes | None) -> int:
    """1..8 from the EXIF block if it says so, else from the first XMP packet that does, else 1.

    A damaged block counts as absent: an image is not worse for its metadata.
    """
    if exif is not None and (orientation := _from_exif(exif)) is not None:
        return orientation
    for xmp in xmp_packets:
        value = read_xmp_value(xmp, _TIFF_NAMESPACE, _TIFF_PREFIX, "Orientation") if xmp else None
        if value in _ORIENTATIONS:
            return int(value)
    return AS_STORED


def _from_exif(exif: bytes) -> int | None:
    tiff = exif.removeprefix(b"Exif\0\0")
    byte_order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if byte_order is None or len(tiff) < 8:
        return None
    (first_directory,) = struct.unpack_from(byte_order + "I", tiff, 4)
    entry_count_bytes = tiff[first_directory : first_directory + 2]
    if len(entry_count_bytes) < 2:
        return None
    (entry_count,) = struct.unpack(byte_order + "H", entry_count_bytes)
    entries = tiff[first_directory + 2 : first_directory + 2 + 12 * entry_count]
    entries = entries[: len(entries) // 12 * 12]
    for tag, kind, _count, value in struct.iter_unpack(byte_order + "HHI4s", entries):
        if tag == _ORIENTATION_TAG and kind in _TYPE_BYTES:
            number = value[: _TYPE_BYTES[kind]]
            orientation = int.from_bytes(number, "little" if byte_order == "<" else "big")
            return orientation if 1 <= orientation <= 8 else None
    return None
