"""BMP: stored pixels behind a short header, which makes it cheap to support safely.

Run-length coded files are refused: Pillow unpacks those in Python, byte by byte. Pixels whose bits
are placed by masks are read here: Pillow knows few of the legal masks.

Names and offsets are those of Microsoft's BITMAPFILEHEADER and BITMAPV5HEADER.
"""

import io
import struct
from dataclasses import dataclass
from functools import partial

from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile

from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow, loaded
from imaging.formats.orientation import AS_STORED
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable

# Pillow's image, and its RGBA and white copies where there is transparency.
_BYTES_PER_PIXEL = 12
# The stored bytes as an image, their four planes, the picture made of them, the white copy.
_BYTES_PER_MASKED_PIXEL = 16
_OS2_HEADER_BYTES, _HEADER_BYTES = 12, 40
_HEADERS_WITH_ALPHA_MASK = 56
_BI_RGB, _BI_BITFIELDS, _BI_ALPHABITFIELDS = 0, 3, 6
_MASKED = {_BI_BITFIELDS, _BI_ALPHABITFIELDS}
_BITS = {1, 4, 8, 16, 24, 32}
# Of pixels of 16 bits: the masks of red, green and blue, and Pillow's name for the layout.
_LAYOUTS_OF_16_BITS = {
    (0xF800, 0x07E0, 0x001F): "BGR;16",
    (0x001F, 0x07E0, 0xF800): "RGB;16",
    (0x7C00, 0x03E0, 0x001F): "BGR;15",
    (0x001F, 0x03E0, 0x7C00): "RGB;15",
    (0x000F, 0x00F0, 0x0F00): "RGB;4B",
}
_PLANE_OF_MASK = {0xFF << 8 * plane: plane for plane in range(4)}


@dataclass(frozen=True, slots=True)
class _Masked:
    """Pixels of 16 or 32 bits and the masks that say which bits are red, green, blue and alpha."""

    size: tuple[int, int]
    bits: int
    from_the_top: bool
    stored: memoryview
    masks: tuple[int, int, int, int]

    def decode(self) -> Image.Image:
        if self.bits == 16:
            return self._read("RGB", _LAYOUTS_OF_16_BITS[self.masks[:3]])
        planes = self._read("RGBA", "RGBA").split()
        chosen = [planes[_PLANE_OF_MASK[mask]] for mask in self.masks if mask]
        return _opaque_if_invisible(Image.merge("RGBA"[: len(chosen)], chosen))

    def _read(self, mode: str, layout: str) -> Image.Image:
        row_bytes = _row_bytes(self.size[0], self.bits)
        direction = 1 if self.from_the_top else -1
        return Image.frombytes(mode, self.size, self.stored, "raw", layout, row_bytes, direction)


def open_bmp(data: bytes, limits: Limits) -> OpenedImage:
    """Opens an uncompressed BMP file; raises Unusable."""
    header_bytes = int.from_bytes(data[14:18], "little")
    if header_bytes >= _HEADER_BYTES:
        compression = _compression(data)
        if compression in _MASKED:
            return _open_masked(data, limits, header_bytes, compression)
    with damage_found_by_pillow():
        image = BmpImageFile(io.BytesIO(data))
    size = image.size
    limits.check_size(size)
    limits.check_memory(_BYTES_PER_PIXEL * size[0] * size[1], size)
    if [tile.codec_name for tile in image.tile] != ["raw"]:
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "a compressed BMP", size)
    return OpenedImage("BMP", partial(loaded, image), size, AS_STORED, extent=size)


def _compression(data: bytes) -> int:
    """The field of that name; raises Unusable for files of a kind that is not read."""
    if len(data) < 14 + _HEADER_BYTES:
        raise Unusable(RejectReason.TRUNCATED, "the file ends within its header")
    bits, compression = struct.unpack_from("<HI", data, 28)
    if compression not in _MASKED | {_BI_RGB}:
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, f"a BMP with compression {compression}")
    if bits not in _BITS:
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, f"a BMP of {bits} bits a pixel")
    return int(compression)


def _open_masked(data: bytes, limits: Limits, header_bytes: int, compression: int) -> OpenedImage:
    width, stored_height, _planes, bits = struct.unpack_from("<iiHH", data, 18)
    size = (width, abs(stored_height))
    limits.check_size(size)
    limits.check_memory(_BYTES_PER_MASKED_PIXEL * size[0] * size[1], size)
    (offset,) = struct.unpack_from("<I", data, 10)
    end = offset + _row_bytes(width, bits) * size[1]
    if len(data) < max(end, 70):
        raise Unusable(RejectReason.TRUNCATED, "the file ends within its pixels", size)
    red, green, blue, alpha = struct.unpack_from("<IIII", data, 14 + _HEADER_BYTES)
    if header_bytes < _HEADERS_WITH_ALPHA_MASK and compression != _BI_ALPHABITFIELDS:
        alpha = 0
    masks = (red, green, blue, alpha)
    if not _are_read(bits, masks):
        hexadecimal = " ".join(f"{mask:X}" for mask in masks)
        detail = f"a BMP of {bits} bits a pixel with the masks {hexadecimal}"
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, detail, size)
    stored = memoryview(data)[offset:end]
    masked = _Masked(size, bits, stored_height < 0, stored, masks)
    return OpenedImage("BMP", masked.decode, size, AS_STORED, extent=size)


def _are_read(bits: int, masks: tuple[int, int, int, int]) -> bool:
    if bits == 16:
        return masks[:3] in _LAYOUTS_OF_16_BITS
    whole_bytes = all(mask in _PLANE_OF_MASK for mask in masks[:3])
    return bits == 32 and whole_bytes and masks[3] in {0, *_PLANE_OF_MASK}


def _row_bytes(width: int, bits: int) -> int:
    """Bytes of a stored row, a multiple of four."""
    return (width * bits + 31) // 32 * 4


def _opaque_if_invisible(image: Image.Image) -> Image.Image:
    """Many programs leave the alpha of all pixels at zero; every viewer shows those opaque."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")
    return image
