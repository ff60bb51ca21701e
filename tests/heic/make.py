"""Makes the small HEIC files beside this program: synthetic pictures, one HEVC picture each.

    pip install pillow-heif
    PYTHONPATH=.:functions python -m tests.heic.make

pillow-heif brings an encoder (x265, GPL), which the tests do not need: the files are kept here.
"""

from pathlib import Path

import pillow_heif
from PIL import Image

from tests.unit.imaging.pictures import photo

FOLDER = Path(__file__).parent
TILE = 64


def main() -> None:
    """Writes every file."""
    picture = photo(120, 80)
    save("photo", picture, 420)
    save("photo_422", picture, 422)
    save("photo_444", picture, 444)
    save("photo_odd", photo(119, 79), 420)
    save("mask", picture.convert("L").point(lambda level: 255 if level > 110 else 0), 420)
    save_10_bits("photo_10_bits", picture)
    large = photo(TILE * 2, TILE * 2)
    for number in range(4):
        left, top = number % 2 * TILE, number // 2 * TILE
        save(f"tile_{number}", large.crop((left, top, left + TILE, top + TILE)), 420)


def save(name: str, image: Image.Image, chroma: int) -> None:
    """Writes one file at high quality, without the encoder's message about itself."""
    file = pillow_heif.from_pillow(image)
    file.save(FOLDER / f"{name}.heic", quality=80, chroma=chroma, enc_params={"x265:info": "0"})


def save_10_bits(name: str, image: Image.Image) -> None:
    """The same with ten bits a sample, from 16."""
    samples = b"".join((level * 257).to_bytes(2, "little") for level in image.tobytes())
    file = pillow_heif.from_bytes("RGB;16", image.size, samples)
    file.save(FOLDER / f"{name}.heic", quality=80, chroma=420, enc_params={"x265:info": "0"})


if __name__ == "__main__":
    main()
