"""numpy reads the npy body as the same pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest

from imaging import encode_npy
from tests.unit.imaging.pictures import SPEC, photo


@pytest.mark.parametrize("count", [0, 1, 27])
def test_numpy_reads_the_same_images_in_order(count: int) -> None:
    images = [photo(224, 224).rotate(90 * index).tobytes() for index in range(count)]
    array = np.load(io.BytesIO(encode_npy(images, SPEC)), allow_pickle=False)
    assert array.dtype == np.uint8
    assert array.shape == (count, 224, 224, 3)
    assert [image.tobytes() for image in array] == images


def test_data_is_aligned_as_the_format_asks() -> None:
    assert (len(encode_npy([bytes(SPEC.image_bytes)], SPEC)) - SPEC.image_bytes) % 64 == 0


def test_image_of_another_size_is_refused() -> None:
    images = [bytes(SPEC.image_bytes), bytes(SPEC.image_bytes - 1)]
    with pytest.raises(ValueError, match="image 1 has 150527 bytes"):
        encode_npy(images, SPEC)
