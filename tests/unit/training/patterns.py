"""Pictures that look different from each other, each by its number."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw


def picture(number: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Twelve blots, the same ones for the same number whatever the size."""
    choose = random.Random(number)  # noqa: S311 - repeatable, not secret
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = choose.random() * size[0], choose.random() * size[1]
        radius = (0.05 + 0.2 * choose.random()) * size[1]
        colour = tuple(choose.randrange(256) for _ in range(3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return image


def encoded(image: Image.Image, **how: Any) -> bytes:
    """A file of the image; a PNG is larger than usual, and written sooner."""
    buffer = io.BytesIO()
    image.save(buffer, **({"format": "PNG", "compress_level": 1} | how))
    return buffer.getvalue()


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
