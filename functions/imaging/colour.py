"""Converts any of Pillow's modes to 8-bit RGB, on white where the image is transparent."""

from PIL import Image

_WHITE = (255, 255, 255)


def to_rgb_or_grey(image: Image.Image) -> Image.Image:
    """Converts the image to a mode that can be resized directly: RGB, L, or I;16 (16-bit grey).

    A transparent level of 16-bit grey stays opaque: Pillow cannot convert it.
    """
    if image.has_transparency_data and image.mode != "I;16":
        return _on_white(image)
    if image.mode in ("RGB", "L", "I;16"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts RGB, L or I;16 to RGB; scales I;16 from 0..65,535 to 0..255 levels.

    Pillow clips 16-bit grey above 255 instead, which gives a white picture.
    """
    if image.mode == "I;16":
        levels = image.convert("I").point(lambda level: level * (255 / 65_535) + 0.5)
        image = levels.convert("L")
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    with_alpha = image if image.mode == "RGBA" else image.convert("RGBA")
    on_white = Image.new("RGB", image.size, _WHITE)
    on_white.paste(with_alpha, mask=with_alpha)
    return on_white
