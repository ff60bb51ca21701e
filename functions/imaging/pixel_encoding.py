"""The encodings in which prepared images are sent to the endpoint; both are lossless."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from imaging.npy import encode_npy
from imaging.spec import ImageSpec
from imaging.webp_batch import MEDIA_TYPE as WEBP_BATCH
from imaging.webp_batch import NUMBER_BYTES, encode_webp, pack_webp


@dataclass(frozen=True, slots=True)
class PixelEncoding:
    """How pixels become a request body.

    Attributes:
        media_type: of the body, without parameters.
        header_bytes: of a body without its images.
        image_header_bytes: added to the header by each image.
        encode: makes an image's part of the body from its pixels.
        pack: makes the body from the parts.
    """

    media_type: str
    header_bytes: int
    image_header_bytes: int
    encode: Callable[[bytes, ImageSpec], bytes]
    pack: Callable[[Sequence[bytes], ImageSpec], bytes]

    def content_type(self, spec: ImageSpec) -> str:
        """The value of the header, which names the spec of the images."""
        return f"{self.media_type}; spec={spec.hash}"


NPY = PixelEncoding("application/x-npy", 128, 0, lambda pixels, _: pixels, encode_npy)
WEBP = PixelEncoding(
    WEBP_BATCH, NUMBER_BYTES, NUMBER_BYTES, encode_webp, lambda files, _: pack_webp(files)
)
PIXEL_ENCODINGS = {"npy": NPY, "webp": WEBP}
"""By their names in the function's settings."""
