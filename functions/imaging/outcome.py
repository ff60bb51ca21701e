"""The result of preparing one image: its pixels, or the reason why there are none."""

from dataclasses import dataclass
from enum import StrEnum


class RejectReason(StrEnum):
    """Why a file can never be classified; a retry cannot help."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    SIDE_TOO_LONG = "side_too_long"
    TOO_MANY_SCANS = "too_many_scans"
    TOO_MANY_CHUNKS = "too_many_chunks"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    TOO_SLOW = "too_slow"
    TOO_MUCH_MEMORY = "too_much_memory"
    DECODER_CRASHED = "decoder_crashed"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The model's exact input for one image."""

    pixels: bytes
    """uint8 RGB, row-major [height, width, 3], height = width = the spec's size."""
    format: str
    """JPEG, PNG, WEBP, AVIF, HEIF or BMP."""
    width: int
    """Pixels of the file as it is displayed, that is after orientation."""
    height: int


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of a photo: a WebP file without metadata, and its sides, pixels."""

    webp: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file that cannot be classified. `format`, `width` and `height` where they are known."""

    reason: RejectReason
    detail: str
    """For people: the value found and the limit. Never content of an image."""
    format: str | None = None
    width: int | None = None
    height: int | None = None


class Unusable(Exception):  # noqa: N818 - a verdict on the file, turned into a Rejection
    """Raised by the readers of this package only: `prepare` turns it into a Rejection."""

    def __init__(
        self, reason: RejectReason, detail: str, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.size = size
