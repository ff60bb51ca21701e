"""The crop, in torchvision's arithmetic."""

from __future__ import annotations

import pytest

from imaging.geometry import frame
from tests.unit.imaging.pictures import SPEC


@pytest.mark.parametrize(
    ("stored", "resized"),
    [
        ((4032, 3024), (341, 256)),  # 341.33 is cut off, not rounded
        ((500, 375), (341, 256)),
        ((375, 500), (256, 341)),
        ((1000, 1499), (256, 383)),  # 383.74
        ((256, 256), (256, 256)),
        ((1, 5000), (256, 1_280_000)),
        ((5000, 3), (426_666, 256)),
        ((1, 1), (256, 256)),
    ],
)
def test_shorter_side_is_resized_and_the_longer_one_cut_to_whole_pixels(
    stored: tuple[int, int], resized: tuple[int, int]
) -> None:
    assert frame(stored, 1, SPEC).resized == resized


@pytest.mark.parametrize(
    ("stored", "left", "top"),
    [
        ((341, 256), 58, 16),  # 58.5 goes to the even 58
        ((343, 256), 60, 16),  # 59.5 goes to the even 60
        ((342, 256), 59, 16),
        ((256, 341), 16, 58),
    ],
)
def test_offset_is_rounded_half_to_even(stored: tuple[int, int], left: int, top: int) -> None:
    width, height = stored
    box = frame(stored, 1, SPEC).box
    assert box == (left / width, top / height, (left + 224) / width, (top + 224) / height)


def test_mirrored_image_is_cropped_where_it_is_displayed() -> None:
    # Displayed: 58 pixels on the left, 59 on the right. Stored mirrored: the other way round.
    left, _, right, _ = frame((341, 256), 2, SPEC).box
    assert (round(left * 341), round(right * 341)) == (59, 283)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_box_stays_inside_the_image(orientation: int) -> None:
    for stored in [(1, 5000), (5000, 3), (341, 256), (3024, 4032), (224, 224)]:
        left, top, right, bottom = frame(stored, orientation, SPEC).box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
