"""Made-up data of the stand-in: rows whose facts follow from their number, runs, models, drift."""

from __future__ import annotations

import base64
import colorsys
import hashlib
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw

from archive.card import ModelCard
from changes.drift import days_until, drift, first_counted
from tests.model_archives import card as card_json

Row = dict[str, Any]

LABELS = ("pug", "beagle", "Great_Pyrenees", "unknown_dog", "not_a_dog", "Samoyed")
# They stand for none of the model's own labels, which alone are in its predictions.
ABSTENTIONS = ("unknown_dog", "not_a_dog")
REASONS = ("truncated", "not_an_image", "too_many_pixels")
NOW = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)
MODEL = "dogs@2"


def id_of(image: str) -> str:
    return base64.urlsafe_b64encode(image.encode()).decode().rstrip("=")


def made_up_row(number: int, **given: Any) -> Row:
    """Returns a row whose facts follow from its number."""
    chance = int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:4]) / 2**32
    label = given.get("label") or LABELS[number % len(LABELS)]
    confidence = given.get("confidence") or round(0.3 + 0.69 * chance, 6)
    key = given.get("key", f"incoming/photos/photo_{number:05}.jpg")
    own = [each for each in (*LABELS, "Akita") if each not in (*ABSTENTIONS, label)]
    named = own if label in ABSTENTIONS else [label, *own]
    at = (NOW - timedelta(minutes=7 * number)).isoformat(timespec="milliseconds")
    row = {
        "image": f"s3://photos/{key}",
        "key": key,
        "version": f"v{number:031}",
        "status": "CLASSIFIED",
        "label": label,
        "confidence": confidence,
        "predictions": [
            {"label": each, "confidence": round(value, 6)}
            for each, value in zip(
                named,
                [confidence, *((1 - confidence) * share for share in (0.6, 0.2, 0.1, 0.05))],
                strict=False,
            )
        ],
        "reason": None,
        "model": MODEL,
        "source": "bulk" if number % 4 == 3 else "drop",
        "format": "JPEG",
        "width": 1600 if number % 3 else 900,
        "height": 1200,
        "bytes": 200_000 + number,
        "received_at": at.replace("+00:00", "Z"),
        "classified_at": at.replace("+00:00", "Z"),
        "group": "retriever" if label == "unknown_dog" and confidence < 0.6 else None,
        "candidate": None,
        "review": None,
    }
    row |= given
    return row | {"id": id_of(row["image"])}


def rejected_row(number: int, **given: Any) -> Row:
    nothing = dict.fromkeys(("label", "confidence", "model", "format", "width", "height", "group"))
    reason = REASONS[number // 12 % len(REASONS)]
    return made_up_row(
        number, **{**nothing, "status": "REJECTED", "reason": reason, "predictions": []} | given
    )


def made_up_rows(count: int) -> list[Row]:
    """Returns rows of which one in twelve is rejected, newest first."""
    return [
        rejected_row(number) if number % 12 == 7 else made_up_row(number) for number in range(count)
    ]


def made_up_runs() -> list[Row]:
    report = {
        "status": "COMPLETE",
        "listed": 1000,
        "classified": 960,
        "rejected": 40,
        "skipped": 0,
        "failed": 0,
        "unaccounted": 0,
        "images_per_second": 31.2,
        "labels": {"pug": 500, "beagle": 300, "not_a_dog": 160},
        "confidence_histogram": list(range(20)),
        "rejections": {"truncated": 30, "not_an_image": 10},
        "failures": {},
        "examples": {"rejected": [{"key": "folders/a/broken.jpg", "reason": "truncated"}]},
    }
    example = {"key": "incoming/a.jpg", "live_confidence": 0.91, "confidence": 0.62}
    row = made_up_row(0)
    example |= {name: row[name] for name in ("id", "version")}
    flips = [
        {"from": "pug", "to": "beagle", "count": 31},
        {"from": "unknown_dog", "to": "Great_Pyrenees", "count": 4},
    ]
    comparison = {
        "compared": 960,
        "agreement": 0.9635,
        "live_models": {MODEL: 960},
        "flips": [
            flip | {"examples": [example | {"is_reviewed": flip["to"] == "beagle", "truth": "pug"}]}
            for flip in flips
        ],
        "reviewed": 120,
        "accuracy": {"live": 0.9, "candidate": 0.925},
        "abstained": {"both": 40, "only_live": 4, "only_candidate": 0, "neither": 916},
        "calibration": {"live": {"ece": 0.031}, "candidate": {"ece": 0.022}},
    }
    compared = report | {"comparison": comparison}
    progress = {"phase": "transforming", "listed": 5000, "recorded": 1200}
    common = {"started_at": "2026-11-29T10:00:00Z", "model": MODEL}
    return [
        {"name": "holiday-2", "status": "RUNNING", "progress": progress, "report": None} | common,
        {"name": "holiday-1", "status": "SUCCEEDED", "progress": None, "report": report} | common,
        {"name": "compare-1", "status": "SUCCEEDED", "progress": None, "report": compared} | common,
    ]


def made_up_models() -> list[Row]:
    common = {"labels": 119, "created_at": "2026-11-20T10:00:00Z", "threshold": 0.42}
    return [
        {"model": MODEL, "answers": True, "approval": "Approved", "metrics": {"top1": 0.939}}
        | common,
        {
            "model": "dogs@3",
            "answers": False,
            "approval": "PendingManualApproval",
            "metrics": {"top1": 0.951, "calibration": {"ece": 0.021}},
        }
        | common,
    ]


def made_up_drift(now: datetime = NOW) -> list[Row]:
    """Returns a week's comparisons: its last day but one is bright, and today has few photos."""
    judged = days_until(now, 7)
    counted = {}
    for day in days_until(now, 35):
        few, bright = day == judged[-1], day == judged[-2]
        photos = Counter({"statuses:CLASSIFIED": 98, "statuses:REJECTED": 2, f"models:{MODEL}": 98})
        photos.update({f"labels:{each}": 16 for each in LABELS})
        photos.update({f"confidence:{tenth}": 2 * tenth + 1 for tenth in range(10)})
        for kind in ("brightness", "contrast", "sharpness", "megapixels", "aspect"):
            tenths = range(5, 10) if bright and kind == "brightness" else range(10)
            photos.update({f"{kind}:{tenth}": 98 // len(tenths) for tenth in tenths})
        counted[day] = Counter({name: count // (9 if few else 1) for name, count in photos.items()})
    assert first_counted(judged) == min(counted)
    own = counted[judged[0]] + counted[judged[1]]
    card = card_json(name=MODEL.partition("@")[0], version="2", metrics={"baseline": own})
    return list(drift(counted, judged, ModelCard.from_json(card)))


@lru_cache(maxsize=64)
def picture(label: str, width: int, height: int) -> bytes:
    """Returns a WebP whose colour follows from the label."""
    hue = int.from_bytes(hashlib.sha256(label.encode()).digest()[:2]) / 2**16
    sky, ground = (
        tuple(round(255 * each) for each in colorsys.hls_to_rgb(hue, light, 0.45))
        for light in (0.78, 0.42)
    )
    image = Image.new("RGB", (width, height), sky)
    brush = ImageDraw.Draw(image)
    brush.ellipse((width * 0.2, height * 0.35, width * 0.8, height * 1.2), fill=ground)
    brush.ellipse((width * 0.66, height * 0.1, width * 0.84, height * 0.1 + width * 0.18), "white")
    file = io.BytesIO()
    image.save(file, "WEBP", quality=60, method=0)
    return file.getvalue()


def made_up_picture(row: Row, size: int) -> bytes:
    return picture(row["label"], size, round(size * row["height"] / row["width"]))
