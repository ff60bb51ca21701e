"""Converts any of Pillow's modes to 8-bit RGB, on white where the image is transparent."""

from PIL import Image

_WHITE = (255, 255, 255)


def to_rgb_or_grey(image: Image.Image) -> Image.Image:
    """Converts the image to a mode that can be resized directly: RGB, L, or I;16 (16-bit grey)."""
    if image.has_transparency_data:
        return _grey_on_white(image) if image.mode == "I;16" else _on_white(image)
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


def _grey_on_white(image: Image.Image) -> Image.Image:
    """L of I;16 with a transparent level, which Pillow cannot convert.

    The level is compared in 16 bits, as browsers do (PNG, 11.3.1.1): its neighbours are opaque.
    """
    grey = [(level * 255 + 32_767) // 65_535 for level in range(65_536)]
    grey[image.info["transparency"]] = 255
    # Pillow looks levels up in 32 bits only.
    return image.convert("I").point(grey, "L")


def _on_white(image: Image.Image) -> Image.Image:
    with_alpha = image if image.mode == "RGBA" else image.convert("RGBA")
    on_white = Image.new("RGB", image.size, _WHITE)
    on_white.paste(with_alpha, mask=with_alpha)
    return on_white
