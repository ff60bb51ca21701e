"""The demo's photos with the default model's answers, for screenshots that may be published.

Authors and licences of the photos: demo/NOTICE.md.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from api.explanations import box_on_photo, shares
from archive.card import ModelCard
from archive.reading import WEIGHTS_NAME, extract_archive
from imaging import Prepared, prepare
from model.package import DEFAULT_ARCHIVE
from model.serving.answers import answer_body
from model.serving.class_activation import ClassActivation
from model.serving.onnx_model import Images, OnnxModel
from tests.page.made_up import Row, made_up_row, rejected_row
from tests.page.stand_in import StandIn

PHOTOS = Path(__file__).parents[2] / "demo" / "photos"
MODEL = "dogs-lite0@2"
# Newest first.
CLASSIFIED = (
    *("pug.jpg", "beagles.jpg", "cat.png", "pug.webp", "coffee.webp", "flower.jpg"),
    *("pug_sideways.jpg", "rocket.jpg", "temple.jpg", "pug_cmyk.jpg", "pug.png"),
)
REJECTED = {"beagles_cut.jpg": "truncated", "web_page.jpg": "not_an_image"}


def demo_rows() -> list[Row]:
    """Returns a row for each photo of the demo, newest first."""
    answers = zip(CLASSIFIED, default_answers(), strict=True)
    rows = [classified(name, number, given) for number, (name, given) in enumerate(answers)]
    for place, (name, reason) in zip((3, 8), REJECTED.items(), strict=True):
        size = (PHOTOS / name).stat().st_size
        key = f"incoming/photos/{name}"
        rows.insert(place, rejected_row(20 + place, key=key, reason=reason, bytes=size))
    return rows


@cache
def default_model() -> tuple[ModelCard, OnnxModel, ClassActivation]:
    with tempfile.TemporaryDirectory() as folder:
        card = extract_archive(DEFAULT_ARCHIVE, Path(folder) / "model")
        weights = Path(folder) / "model" / WEIGHTS_NAME
        return card, OnnxModel(weights), ClassActivation(weights, card.image_spec.size)


def prepared(name: str) -> tuple[Prepared, Images]:
    spec = default_model()[0].image_spec
    found = prepare((PHOTOS / name).read_bytes(), spec)
    assert isinstance(found, Prepared)
    return found, np.frombuffer(found.pixels, np.uint8).reshape(1, spec.size, spec.size, 3)


def default_answers() -> list[Row]:
    """Returns what the default model answers, as the endpoint does."""
    card, model, _ = default_model()
    images = np.concatenate([prepared(name)[1] for name in CLASSIFIED])
    answers: list[Row] = json.loads(answer_body(model.run(images), card))
    return answers


def demo_map(row: Row) -> Row:
    """Returns where the default model looked, as the API does."""
    card, _, activation = default_model()
    label = row["predictions"][0]["label"]
    photo, images = prepared(Path(row["key"]).name)
    return {
        "map": shares(activation.of(images, card.labels.index(label)).positions.tolist()),
        "box": box_on_photo(photo.width, photo.height, card.image_spec),
        "label": label,
        "method": "class activation",
    }


def classified(name: str, number: int, answer: Row) -> Row:
    with Image.open(PHOTOS / name) as image:
        width, height = ImageOps.exif_transpose(image).size
        kind = image.format
    return made_up_row(
        number,
        key=f"incoming/photos/{name}",
        label=answer["label"],
        confidence=answer["confidence"],
        model=MODEL,
        source="drop",
        group=answer.get("group"),
        format=kind,
        width=width,
        height=height,
        bytes=(PHOTOS / name).stat().st_size,
        version=hashlib.sha256(name.encode()).hexdigest()[:32],
        predictions=answer["predictions"],
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
    api.map_of = demo_map
    api.answer = dropped
    api.summary = demo_days(datetime(2026, 11, 29, tzinfo=UTC))
