"""The result of every format's reader: a checked image, not decoded yet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image

from imaging.outcome import RejectReason, Unusable


@dataclass(slots=True)
class OpenedImage:
    """An opened file whose header has passed the limits."""

    format: str
    """JPEG, PNG, WEBP, AVIF, HEIF or BMP."""
    decode: Callable[[], Image.Image]
    """Decodes the pixels; raises Unusable."""
    size: tuple[int, int]
    """Stored width and height, pixels, before orientation and at full size."""
    orientation: int
    """EXIF orientation, 1..8."""
    extent: tuple[float, float]
    """Width and height that the whole image takes in the decoded pixels. Smaller than `size` after
    a decoding at reduced size; need not be whole."""


def loaded(image: Image.Image) -> Image.Image:
    """The same image, decoded by Pillow; raises Unusable."""
    with damage_found_by_pillow(image.size):
        image.load()
    return image


@contextmanager
def damage_found_by_pillow(size: tuple[int, int] | None = None) -> Iterator[None]:
    """Turns whatever Pillow raises on a damaged file into Unusable.

    Wrap calls into Pillow only: Pillow raises nearly every type of exception on crafted files, so
    a bug of this project must not be caught here. MemoryError passes through, because it concerns
    the process; the limits keep an image from causing it.
    """
    try:
        yield
    except (MemoryError, Unusable):
        raise
    except Exception as error:
        detail = f"{type(error).__name__}: {error}"
        raise Unusable(RejectReason.CORRUPT, detail, size) from error
