"""`data.html`: the photos of a data set, and the most important corrections."""

from __future__ import annotations

import io

from PIL import Image

from imaging import prepare
from imaging.outcome import Rejection
from training.data.check import CHECK_SPEC, DataCheck, largest_to_smallest
from training.data.dataset import LabelledImage, read_image
from training.reports.page import TEMPLATES, render

SHOWN_GROUPS, SHOWN_IN_GROUP, SHOWN_REJECTED, SHOWN_DOUBTFUL = 30, 12, 200, 24
THUMBNAIL_PIXELS = 112


def data_page(check: DataCheck) -> str:
    """The whole file. Rejected files are only named, because they cannot be shown."""
    return render(
        TEMPLATES / "data.html",
        check=check,
        parts=[_part(check, part) for part in check.counts],
        repeated=[each for each in check.alike if not each.is_leak and not each.is_conflict],
        thumbnail=thumbnail,
        shown_groups=SHOWN_GROUPS,
        shown_in_group=SHOWN_IN_GROUP,
        shown_rejected=SHOWN_REJECTED,
        shown_doubtful=SHOWN_DOUBTFUL,
    )


def _part(check: DataCheck, part: str) -> dict[str, object]:
    every = {label: check.counts[part][label] for label in check.data.classes}
    return {
        "name": part,
        "photos": sum(every.values()),
        "times": largest_to_smallest(every),
        "labels": sorted(every.items(), key=lambda item: (-item[1], item[0])),
    }


def thumbnail(image: LabelledImage) -> bytes | None:
    """A small JPEG; None if the file has changed since the check and is rejected now."""
    prepared = prepare(read_image(image.path), CHECK_SPEC)
    if isinstance(prepared, Rejection):
        return None
    size = (CHECK_SPEC.size, CHECK_SPEC.size)
    picture = Image.frombytes("RGB", size, prepared.pixels).resize((THUMBNAIL_PIXELS,) * 2)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
