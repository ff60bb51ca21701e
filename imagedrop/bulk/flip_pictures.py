"""The pictures of a comparison's flips: thumbnails of exactly the versions that were compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bulk.run import Listed
from imagedrop.target import Target
from imaging import Rejection
from imaging.decoder import Decoder
from pipeline.adapters.images_bucket import ImagesBucket

SIDE_PIXELS = 256


def pictures(found: Target) -> Callable[[Mapping[str, Any]], bytes | None]:
    """Returns a function that makes a WebP file of an example in a report; None for a deleted
    one."""
    images, decoder = ImagesBucket(found.client("s3")), Decoder()

    def picture(example: Mapping[str, Any]) -> bytes | None:
        listed = Listed(
            **{name: example[name] for name in ("bucket", "key", "version", "versioned")}
        )
        data = images.read(listed.to_ref())
        if data is None or isinstance(data, Rejection):
            return None
        made = decoder.thumbnail(data, SIDE_PIXELS)
        return None if isinstance(made, Rejection) else made.webp

    return picture
