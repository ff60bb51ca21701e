"""The limits of a file, checked before any of it is decoded."""

from dataclasses import dataclass

from imaging.outcome import RejectReason, Unusable


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds for one image.

    With the defaults, four images can be prepared at once in 1,000 MB, and none takes more than
    about two seconds of one core (Zen 4). Memory and times are measured with Pillow 13.0.
    """

    max_bytes: int = 32 * 1024 * 1024
    """Length of the file. Cameras of 50 megapixels write JPEGs of up to about 30 MB; the file is
    held twice while it is read."""
    max_side: int = 32_767
    """Longer side, pixels. Panoramas of phones reach about 16,000."""
    max_pixels: int = 200_000_000
    """Width x height: the largest sensors in phones. Decoded at reduced size, a JPEG of 108
    megapixels takes 0.2 s and 21 MB; other formats meet `max_decoded_bytes` long before."""
    max_decoded_bytes: int = 200_000_000
    """The memory for decoding: a fifth of 1,000 MB, the rest is the process itself. Every
    format's bytes a pixel are beside its reader. 12-megapixel photos fit in all of them."""
    max_scans: int = 32
    """Passes of a JPEG over its own image; encoders write up to about 14. An empty pass takes
    0.65 ms a megapixel, so 32 over the 100 megapixels that fit in memory take two seconds."""
    max_chunks: int = 20_000
    """PNG chunks, JPEG header segments: 8 kB a chunk, as libpng writes them, is 4,096 in 32 MB."""

    def check_size(self, size: tuple[int, int]) -> None:
        """Checks the width and height, pixels; raises Unusable if one is too large."""
        width, height = size
        if min(size) < 1:
            raise Unusable(RejectReason.CORRUPT, f"the header says {width} x {height} pixels")
        if max(size) > self.max_side:
            raise Unusable(
                RejectReason.SIDE_TOO_LONG,
                f"a side of {max(size):,} pixels, at most {self.max_side:,} are allowed",
                size,
            )
        if width * height > self.max_pixels:
            raise Unusable(
                RejectReason.TOO_MANY_PIXELS,
                f"{width * height:,} pixels, at most {self.max_pixels:,} are allowed",
                size,
            )

    def check_memory(self, decoded_bytes: float, size: tuple[int, int]) -> None:
        """Checks the memory for decoding an image of this size; raises Unusable if too much."""
        if decoded_bytes > self.max_decoded_bytes:
            width, height = size
            raise Unusable(
                RejectReason.TOO_MANY_PIXELS,
                f"{width} x {height} pixels of this kind take {decoded_bytes / 1e6:,.0f} MB to "
                f"decode, at most {self.max_decoded_bytes / 1e6:,.0f} MB are allowed",
                size,
            )


DEFAULT_LIMITS = Limits()
