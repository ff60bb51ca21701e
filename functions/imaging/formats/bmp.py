"""BMP: stored pixels behind a short header, the one further format that costs nothing to be safe.

Run-length coded files are refused: Pillow unpacks those in Python, byte by byte.
"""

import io

from PIL.BmpImagePlugin import BmpImageFile

from imaging.formats.opened_image import OpenedImage, damage_found_by_pillow
from imaging.formats.orientation import AS_STORED
from imaging.limits import Limits
from imaging.outcome import RejectReason, Unusable

# Pillow's image, and its RGBA and white copies where there is transparency.
_BYTES_PER_PIXEL = 12


def open_bmp(data: bytes, limits: Limits) -> OpenedImage:
    """Opens an uncompressed BMP file; raises Unusable."""
    with damage_found_by_pillow():
        image = BmpImageFile(io.BytesIO(data))
    size = image.size
    limits.check_size(size)
    limits.check_memory(_BYTES_PER_PIXEL * size[0] * size[1], size)
    if [tile.codec_name for tile in image.tile] != ["raw"]:
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "a compressed BMP", size)
    return OpenedImage("BMP", image, size, AS_STORED, extent=size)
