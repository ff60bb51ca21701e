"""The demo's photos with the default model's answers, for screenshots that may be published.

Authors and licences of the photos: demo/NOTICE.md.
"""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image, ImageOps

from tests.page.made_up import Row, made_up_row, rejected_row
from tests.page.stand_in import StandIn

PHOTOS = Path(__file__).parents[2] / "demo" / "photos"
MODEL = "efficientnet-lite0-dogs@1"
# Answers as `make demo` prints them; the other labels are the closest of their kind.
ANSWERS: dict[str, tuple[str, float, tuple[str, ...]]] = {
    "pug.jpg": ("pug", 0.817, ("bull_mastiff", "french_bulldog", "boxer", "brabancon_griffon")),
    "beagles.jpg": ("beagle", 0.668, ("english_foxhound", "walker_hound", "basset", "harrier")),
    "cat.png": ("not_a_dog", 0.996, ()),
    "pug.webp": ("pug", 0.913, ("bull_mastiff", "french_bulldog", "boxer", "pekinese")),
    "coffee.webp": ("not_a_dog", 0.998, ()),
    "flower.jpg": ("not_a_dog", 0.97, ()),
    "pug_sideways.jpg": ("pug", 0.843, ("bull_mastiff", "boxer", "french_bulldog", "pekinese")),
    "rocket.jpg": ("not_a_dog", 0.981, ()),
    "temple.jpg": ("not_a_dog", 0.981, ()),
    "pug_cmyk.jpg": ("pug", 0.833, ("bull_mastiff", "boxer", "french_bulldog", "pekinese")),
    "pug.png": ("pug", 0.806, ("bull_mastiff", "boxer", "french_bulldog", "pekinese")),
}
REJECTED = {"beagles_cut.jpg": "truncated", "web_page.jpg": "not_an_image"}
CLOSEST = ("miniature_schnauzer", "samoyed", "vizsla", "toy_poodle", "chow")


def demo_rows() -> list[Row]:
    """Returns a row for each photo of the demo, newest first."""
    rows = [classified(name, number) for number, name in enumerate(ANSWERS)]
    for place, (name, reason) in zip((3, 8), REJECTED.items(), strict=True):
        size = (PHOTOS / name).stat().st_size
        key = f"incoming/photos/{name}"
        rows.insert(place, rejected_row(20 + place, key=key, reason=reason, bytes=size))
    return rows


def classified(name: str, number: int) -> Row:
    label, confidence, others = ANSWERS[name]
    with Image.open(PHOTOS / name) as image:
        width, height = ImageOps.exif_transpose(image).size
        kind = image.format
    shares = (0.5, 0.22, 0.12, 0.06)
    best = [(label, confidence), *zip(others, shares, strict=False)]
    if not others:
        best = [(each, 0.04 - 0.006 * place) for place, each in enumerate(CLOSEST)]
    rest = 1 - confidence if others else 1
    return made_up_row(
        number,
        key=f"incoming/photos/{name}",
        label=label,
        confidence=confidence,
        model=MODEL,
        source="drop",
        group=None,
        format=kind,
        width=width,
        height=height,
        bytes=(PHOTOS / name).stat().st_size,
        version=hashlib.sha256(name.encode()).hexdigest()[:32],
        predictions=[
            {"label": each, "confidence": round(share if each == label else share * rest, 3)}
            for each, share in best
        ],
    )


def demo_picture(row: Row, size: int) -> bytes:
    """Returns a photo of the demo in a square of so many pixels, as WebP."""
    with Image.open(PHOTOS / Path(row["key"]).name) as image:
        small = ImageOps.exif_transpose(image).convert("RGB")
    small.thumbnail((size, size))
    file = io.BytesIO()
    small.save(file, "WEBP", quality=80)
    return file.getvalue()


def demo_days(now: datetime) -> list[Row]:
    """Returns made-up counts of thirty days."""
    found = []
    for place in range(30):
        weekday = (now - timedelta(days=29 - place)).weekday()
        photos = 90 + 11 * (place * 7 % 13) + (140 if weekday >= 5 else 0)
        dogs = {"pug": 0.24, "beagle": 0.19, "samoyed": 0.12, "boxer": 0.09, "vizsla": 0.06}
        labels = {name: round(share * photos) for name, share in dogs.items()}
        labels["not_a_dog"] = photos - sum(labels.values())
        sure = [0, 1, 2, 3, 4, 6, 8, 12, 21, 43]
        found.append(
            {
                "day": (now - timedelta(days=29 - place)).date().isoformat(),
                "labels": labels,
                "statuses": {"CLASSIFIED": photos, "REJECTED": 3 + place % 5},
                "reasons": {"truncated": 2, "not_an_image": 1 + place % 5},
                "confidence": [round(photos * share / 100) for share in sure],
                "models": {MODEL: photos},
            }
        )
    return found


def dropped(key: str, _: bytes) -> Row:
    """Returns the row of a photo of the demo that is dropped anew."""
    name = Path(key).name
    (row,) = [row for row in demo_rows() if Path(row["key"]).name == name]
    return {**row, "key": key, "received_at": "2036-11-29T12:00:00Z"}


def show_demo(api: StandIn) -> None:
    """Makes a stand-in show the demo."""
    api.rows = demo_rows()
    api.picture_of = demo_picture
    api.answer = dropped
    api.summary = demo_days(datetime(2026, 11, 29, tzinfo=UTC))
