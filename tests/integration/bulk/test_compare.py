"""Another model on rows that exist: two real archives over 500 rows of the real template."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from PIL import Image

from archive.card import ModelCard
from archive.reading import WEIGHTS_NAME, extract_archive
from model.package import DEFAULT_ARCHIVE, package
from pipeline.adapters.reviews_table import ReviewsTable
from pipeline.events import utc_now
from pipeline.records import Record
from pipeline.review import Action, ReviewRequest
from tests.integration.conftest import REPOSITORY, Stack

PHOTOS = [
    REPOSITORY / "demo" / "photos" / name
    for name in ("pug.webp", "beagles.jpg", "coffee.webp", "pug.png")
]
ROWS = 500
SMALL = 160  # pixels a side
PREFIX = "folders/compared/"
CANDIDATE = "turned@2"


@dataclass(frozen=True)
class Compared:
    """Rows with the answers of the default model, and an archive that swaps pairs of labels.

    Attributes:
        turned: the candidate's answer, by the default model's.
        before: the rows' items as they were before the run.
    """

    rows: dict[str, Record]
    turned: dict[str, str]
    before: dict[str, Any]
    report: dict[str, Any]


def crops() -> Iterator[tuple[str, bytes]]:
    """Parts of the demo's photos, all different: nine tenths of a photo, small."""
    opened = [Image.open(path).convert("RGB") for path in PHOTOS]
    for number in range(ROWS):
        photo = opened[number % len(opened)]
        step = number // len(opened)
        left, top = (
            side * (step % 25 if is_x else step // 25) // 250
            for side, is_x in ((photo.width, True), (photo.height, False))
        )
        box = (left, top, left + photo.width * 9 // 10, top + photo.height * 9 // 10)
        file = io.BytesIO()
        photo.crop(box).resize((SMALL, SMALL)).save(file, "JPEG", quality=90)
        yield f"{number:03}.jpg", file.getvalue()


def turned_round(card: ModelCard) -> dict[str, str]:
    """Pairs of labels: each gets the other's name."""
    pairs = list(zip(card.labels[::2], card.labels[1::2], strict=True))
    return dict(pairs) | {b: a for a, b in pairs}


def items(stack: Stack) -> dict[str, Any]:
    pages = (
        stack.target.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=stack.target.outputs["PredictionsTableName"], ConsistentRead=True)
    )
    return {item["image"]["S"]: item for page in pages for item in page["Items"]}


@pytest.fixture(scope="module")
def compared(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("compared")
    (folder / "compared").mkdir()
    for name, content in crops():
        (folder / "compared" / name).write_bytes(content)
    since = utc_now()
    stack.command("bulk", "start", folder / "compared", "--wait")

    card = extract_archive(DEFAULT_ARCHIVE, folder / "content")
    turned = turned_round(card)
    labels = tuple(turned.get(each, each) for each in card.labels)
    name, _, version = CANDIDATE.partition("@")
    changed = replace(card, name=name, version=version, labels=labels, groups=None, names={})
    archive = package(folder / "content" / WEIGHTS_NAME, changed, folder / "turned.tar.gz")
    stack.command("package", archive)

    review_some(stack, turned)
    before = items(stack)
    said = stack.command_said(
        *("bulk", "start", "--rows", f"since={since} source=bulk", "--compare"),
        *("--model", CANDIDATE, "--wait", "--chunk-images", "200"),
    )
    assert "500 rows, answered by dogs-lite0@" in said
    (run,) = (line.split()[-1] for line in said.splitlines() if line.startswith("Started: "))
    report = json.loads(stack.command("bulk", "report", run, "--format", "json"))
    return Compared(rows_of(stack), turned, before, report)


def rows_of(stack: Stack) -> dict[str, Record]:
    address = f"s3://{stack.target.images_bucket}/{PREFIX}"
    images = [f"{address}{number:03}.jpg" for number in range(ROWS)]
    return stack.target.predictions_table().get_many(images)


def review_some(stack: Stack, turned: dict[str, str]) -> None:
    """Of the rows whose label flips, a person confirms ten and calls ten as the candidate will."""
    table = ReviewsTable(
        stack.target.client("dynamodb"), stack.target.outputs["PredictionsTableName"]
    )
    flipping = [row for row in rows_of(stack).values() if row.label in turned]
    assert len(flipping) >= 20
    for place, row in enumerate(sorted(flipping, key=lambda each: each.image)[:20]):
        action = Action.CONFIRM if place < 10 else Action.CORRECT
        label = row.label if place < 10 else turned[row.label or ""]
        table.review(row.image, ReviewRequest(action, row.version, "me", utc_now(), label))


def test_flips_of_two_archives_over_500_rows_are_right(compared: Compared) -> None:
    expected = Counter(
        (row.label, compared.turned[row.label])
        for row in compared.rows.values()
        if row.label in compared.turned
    )
    found = compared.report["comparison"]
    flips = {(each["from"], each["to"]): each["count"] for each in found["flips"]}
    assert len(compared.rows) == ROWS
    assert sum(expected.values()) > 50
    assert flips == expected
    assert (found["compared"], found["agreed"]) == (ROWS, ROWS - sum(expected.values()))
    assert (compared.report["status"], compared.report["unaccounted"]) == ("COMPLETE", 0)


def test_accuracy_is_that_of_the_reviewed_rows(compared: Compared) -> None:
    found = compared.report["comparison"]
    assert found["reviewed"] == 20
    assert found["right"] == {"both": 0, "only_live": 10, "only_candidate": 10, "neither": 0}
    assert found["accuracy"] == {"live": 0.5, "candidate": 0.5}
    assert found["calibration"]["live"]["images"] == 20


def test_no_row_is_touched_by_a_comparison(stack: Stack, compared: Compared) -> None:
    after = items(stack)
    touched = [image for image, item in compared.before.items() if after[image] != item]
    assert touched == []


def test_the_report_shows_flips_with_their_pictures(stack: Stack, compared: Compared) -> None:
    page = stack.command("bulk", "report", compared.report["run"], "--format", "html")
    (old, new) = (compared.report["comparison"]["flips"][0][name] for name in ("from", "to"))
    assert f"{old} → {new}".replace("_", "_<wbr>") in page or f"{old} → {new}" in page
    assert page.count("data:image/webp;base64,") >= 4
    assert "No row was changed" in page
