"""Makes ``demo/photos`` from the seven originals that ``demo/NOTICE.md`` names.

    python demo/make_photos.py ORIGINALS

Kept to document the changes to the photos; the demo only reads the result.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

PHOTOS = Path(__file__).parent / "photos"
ORIENTATION_TAG = 0x0112
TURNED_RIGHT = 6  # "the 0th row is the right-hand side": a viewer turns it by 90° clockwise


def main(originals: Path) -> None:
    PHOTOS.mkdir(exist_ok=True)
    for original, name in (
        ("chelsea.png", "cat.png"),
        ("rocket.jpg", "rocket.jpg"),
        ("sklearn_china.jpg", "temple.jpg"),
        ("sklearn_flower.jpg", "flower.jpg"),
        ("tfjs_coco-ssd_beagles.jpg", "beagles.jpg"),
    ):
        (PHOTOS / name).write_bytes((originals / original).read_bytes())
    Image.open(originals / "coffee.png").save(PHOTOS / "coffee.webp", quality=85)

    pug = Image.open(originals / "pillow_heif_pug.jpg")
    pug.thumbnail((1600, 1600), Image.Resampling.LANCZOS)
    pug.save(PHOTOS / "pug.jpg", quality=85)
    small = pug.resize((640, 480), Image.Resampling.LANCZOS)
    small.save(PHOTOS / "pug.png", optimize=True)
    small.save(PHOTOS / "pug.webp", quality=85)
    small.convert("CMYK").save(PHOTOS / "pug_cmyk.jpg", quality=85)
    sideways = small.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = TURNED_RIGHT
    sideways.save(PHOTOS / "pug_sideways.jpg", quality=85, exif=exif)

    whole = (PHOTOS / "beagles.jpg").read_bytes()
    (PHOTOS / "beagles_cut.jpg").write_bytes(whole[: len(whole) // 2])
    (PHOTOS / "web_page.jpg").write_bytes(b"<!doctype html><title>404 Not Found</title>\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
