"""``python -m tests.page.doc_images``: takes screenshots of the last test run to docs/images.

They show photos of the demo, whose authors and licences are in demo/NOTICE.md.
"""

from __future__ import annotations

from PIL import Image

from tests.page.browsers import REPOSITORY, SCREENSHOTS

IMAGES = REPOSITORY / "docs" / "images"
# Screenshot -> width in the docs, pixels.
TAKEN = {
    "gallery-desktop-light": 1000,
    "photo-desktop-light": 1000,
    "drop-desktop-dark": 1000,
    "review-phone-light": 390,
    "overview-phone-dark": 390,
}


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, width in TAKEN.items():
        with Image.open(SCREENSHOTS / f"{name}.png") as screenshot:
            height = round(screenshot.height * width / screenshot.width)
            small = screenshot.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        path = IMAGES / f"look-{name}.webp"
        small.save(path, "WEBP", quality=72, method=6)
        print(f"{path.relative_to(REPOSITORY)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
