"""The part of an image that the model sees, in torchvision's exact arithmetic."""

from dataclasses import dataclass

from imaging.spec import ImageSpec

# EXIF orientations that mirror the stored image along one of its own axes on the way to display.
_MIRRORS_STORED_X = {2, 3, 7, 8}
_MIRRORS_STORED_Y = {3, 4, 6, 7}


@dataclass(frozen=True, slots=True)
class Frame:
    """The crop in terms of the stored image: its resized extent, and the part to keep."""

    resized: tuple[int, int]
    """Width and height that the whole stored image would have after the resize, pixels."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom of the part to keep, as fractions 0..1 of the stored sides."""


def frame(stored: tuple[int, int], orientation: int, spec: ImageSpec) -> Frame:
    """Returns torchvision's Resize(spec.resize) + CenterCrop(spec.size) in the stored image.

    torchvision works on the displayed image. To turn only the small result instead, the crop's
    offsets are mapped back through the orientation.
    """
    displayed = stored[::-1] if swaps_sides(orientation) else stored
    resized = resized_sides(displayed, spec)
    offsets = list(crop_offsets(resized, spec))
    if swaps_sides(orientation):
        resized = resized[::-1]
        offsets.reverse()
    width, height = resized
    left, top = offsets
    if orientation in _MIRRORS_STORED_X:
        left = width - spec.size - left
    if orientation in _MIRRORS_STORED_Y:
        top = height - spec.size - top
    box = (left / width, top / height, (left + spec.size) / width, (top + spec.size) / height)
    return Frame(resized=resized, box=box)


def swaps_sides(orientation: int) -> bool:
    """Returns whether the image is displayed with its height as width."""
    return orientation >= 5


def resized_sides(sides: tuple[int, int], spec: ImageSpec) -> tuple[int, int]:
    """Returns width and height after Resize(spec.resize), the longer side rounded down.

    As `_compute_resized_output_size` of torchvision 0.29.
    """
    width, height = sides
    if width <= height:
        return spec.resize, int(spec.resize * height / width)
    return int(spec.resize * width / height), spec.resize


def crop_offsets(resized: tuple[int, int], spec: ImageSpec) -> tuple[int, int]:
    """Returns left and top of CenterCrop(spec.size), rounded half to even as torchvision 0.29."""
    width, height = resized
    return round((width - spec.size) / 2), round((height - spec.size) / 2)
