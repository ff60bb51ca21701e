"""Thumbnails of exactly the requested version, made on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from api.answers import ApiProblem, etag_of
from imaging import Rejection
from imaging.outcome import Thumbnail
from pipeline.classify_images import Images
from pipeline.records import Record, Status, ref_to_read

# Part of the entity tag: raise it when thumbnails of the same photo look different.
THUMBNAIL_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """The adapters of a thumbnail.

    Attributes:
        images_bucket: the stack's own bucket, which keeps versions.
    """

    images: Images
    make: Callable[[bytes, int], Thumbnail | Rejection]
    images_bucket: str

    def of(self, record: Record, version: str, size: int) -> bytes:
        """Returns a WebP file.

        Raises:
            ApiProblem: there is nothing to show, with the reason.
            TransientError: S3 is busy or did not answer.
            DecoderError: the decoder's process ended through no fault of the image.
        """
        data = self.images.read(ref_to_read(record, version, self.images_bucket))
        if data is None:
            raise ApiProblem(HTTPStatus.NOT_FOUND, "this version of the image is gone")
        made = data if isinstance(data, Rejection) else self.make(data, size)
        if isinstance(made, Rejection):
            raise ApiProblem(HTTPStatus.NOT_FOUND, f"the image cannot be shown: {made.reason}")
        return made.webp


def refuse_hidden(record: Record) -> None:
    """Raises ApiProblem for an image that is deleted or was rejected, with the reason."""
    if record.status is Status.CLASSIFIED:
        return
    because = f": {record.reason}" if record.reason else ""
    raise ApiProblem(HTTPStatus.NOT_FOUND, f"the image is {record.status}{because}")


def thumbnail_etag(image: str, version: str, size: int) -> str:
    """Returns the entity tag, which is known before anything is read from S3."""
    return etag_of(image, version, str(size), THUMBNAIL_VERSION)
