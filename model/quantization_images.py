"""The images on which the default model's int8 ranges are measured: views of the demo's photos.

The photos are in the repository, so everyone can repeat the quantisation.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from imaging import ImageSpec, Rejection, prepare

Images = npt.NDArray[np.uint8]

# Left, top, right, bottom as fractions of the sides: the photo, its middle, its four quarters.
_VIEWS = (
    (0.0, 0.0, 1.0, 1.0),
    (0.2, 0.2, 0.8, 0.8),
    (0.0, 0.0, 0.6, 0.6),
    (0.4, 0.0, 1.0, 0.6),
    (0.0, 0.4, 0.6, 1.0),
    (0.4, 0.4, 1.0, 1.0),
)


def quantization_images(photos: Sequence[Path], spec: ImageSpec) -> Iterator[Images]:
    """Yields every view of every photo, plain and mirrored: uint8 [size, size, 3], 12 a photo.

    Raises:
        OSError: a photo cannot be read.
        ValueError: a photo is rejected.
    """
    for photo in photos:
        with Image.open(photo) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        for box in _VIEWS:
            view = _part(image, box)
            yield _prepared(view, spec)
            yield _prepared(ImageOps.mirror(view), spec)


def _part(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    left, top, right, bottom = box
    width, height = image.size
    return image.crop(
        (int(left * width), int(top * height), int(right * width), int(bottom * height))
    )


def _prepared(view: Image.Image, spec: ImageSpec) -> Images:
    file = io.BytesIO()
    view.save(file, format="PNG", compress_level=0)
    outcome = prepare(file.getvalue(), spec)
    if isinstance(outcome, Rejection):
        raise ValueError(f"a view was rejected: {outcome.detail}")  # noqa: TRY004 - not a wrong type
    return np.frombuffer(outcome.pixels, np.uint8).reshape(spec.size, spec.size, 3)
