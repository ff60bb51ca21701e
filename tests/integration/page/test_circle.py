"""From reviews to a better model: photos are dropped, reviewed, trained on, and answered right.

The photos are made up: noise of two colours, which the default model calls no dog, and pugs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page, expect

from tests.integration.conftest import REPOSITORY, Stack
from tests.page import browsers
from tests.page.browsers import Site, hosted, site

PATIENCE_MILLISECONDS = 90_000
COLOURS = {"apple": (60, 170, 60), "sky": (80, 120, 200)}
PUG = REPOSITORY / "demo" / "photos" / "pug.jpg"
# Parts of the photo, in shares of its sides, that do not look the same.
CROPS = ((0, 0, 1, 1), (0.1, 0, 0.8, 0.9), (0.3, 0.1, 1, 1), (0.15, 0.05, 0.7, 0.75))
PHOTOS_A_LABEL = len(CROPS)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """Four photos of each label, whose names say nothing; with their labels."""
    folder = tmp_path_factory.mktemp("circle")
    made: dict[Path, str] = {}

    def keep(image: Image.Image, label: str) -> None:
        path = folder / f"circle_{len(made):02}.png"
        image.save(path)
        made[path] = label

    with Image.open(PUG) as pug:
        for number, crop in enumerate(CROPS):
            left, top, right, bottom = (
                round(share * side) for share, side in zip(crop, pug.size * 2, strict=True)
            )
            part = pug.crop((left, top, right, bottom)).resize((160, 120))
            keep(ImageOps.mirror(part) if number % 2 else part, "pug")
            for label, colour in COLOURS.items():
                keep(made_up(colour, number), label)
    return made


def made_up(colour: tuple[int, int, int], seed: int) -> Image.Image:
    noise = np.random.default_rng([seed, *colour]).normal(0, 40, (72, 96, 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def opened(browser: Browser, stack: Stack) -> Iterator[Site]:
    with hosted(stack.target) as address, site(browser, address) as found:
        found.page.set_default_timeout(PATIENCE_MILLISECONDS)
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        yield found
        expect.set_options(timeout=browsers.PATIENCE_MILLISECONDS)


def reviewed_by_keyboard(page: Page, truth: dict[str, str]) -> dict[str, str]:
    """Gives each photo its right label; returns the first key that did it, by the photo's name."""
    said: dict[str, str] = {}
    typed: list[str] = []
    nothing = page.get_by_role("heading", name="Nothing is left to review")
    file = page.locator(".stage .file")
    while True:
        expect(nothing.or_(file)).to_be_visible()
        if nothing.is_visible():
            return said
        name = file.inner_text()
        label = truth[name]
        offered = [each.split("\n") for each in page.locator(".choices li").all_inner_texts()]
        keys = [key for key, text in offered if text.removeprefix("Yes, ") == label]
        key = {"⏎": "Enter"}.get(keys[0], keys[0]) if keys else "l"
        assert (key in "6789") == (label in typed)
        page.keyboard.press(key)
        if key == "l":
            page.keyboard.type(label)
            page.keyboard.press("Enter")
            typed.append(label)
        said[name] = key
        expect(file.filter(has_text=name)).to_have_count(0)


@pytest.mark.usefixtures("default_again")
def test_a_corrected_photo_is_right_after_training_on_what_was_reviewed(
    opened: Site, stack: Stack, photos: dict[Path, str], tmp_path: Path
) -> None:
    truth = {path.name: label for path, label in photos.items()}
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    page = opened.go("drop")
    drop(page, list(photos))
    expect(page.get_by_text(f"{len(photos)} photos: {len(photos)} classified.")).to_be_visible()
    before = labels(stack, truth)
    wrong = {name for name, label in truth.items() if before[name] != label}
    assert {truth[name] for name in wrong} >= set(COLOURS)

    keys = reviewed_by_keyboard(opened.go(f"review?since={since}"), truth)
    assert set(keys) == set(truth)
    assert sorted(truth[name] for name, key in keys.items() if key == "l") == sorted(COLOURS)
    expect(page.get_by_text(f"{len(photos)} reviewed now, 0 to go")).to_be_visible()

    pulled, run = tmp_path / "reviewed", tmp_path / "run"
    stack.command("data", "pull", pulled, "--since", since, "--shares", "100,0,0")
    found = {each.name: len(list(each.iterdir())) for each in pulled.iterdir() if each.is_dir()}
    assert found == dict.fromkeys(truth.values(), PHOTOS_A_LABEL)
    options = ("--backbone", "efficientnet_lite0", "--epochs", "10", "--name", "circle")
    places = ("--model-dir", run / "model", "--output-dir", run, "--feature-cache", tmp_path)
    stack.command("train", "--data", pulled, *options, *places)
    judged = ("--no-conditions", "--output-dir", tmp_path / "evaluation")
    said = stack.command_said("evaluate", run / "model", "--data", pulled, *judged)
    assert "top-1     1.0000" in said
    stack.command("package", run / "model")
    stack.command("promote", "circle", "--version", "1", "--bake-seconds", "0")

    again = next(path for path in photos if path.name in wrong)
    page = opened.go("drop")
    drop(page, [again])
    one_more = len(photos) + 1
    expect(page.get_by_text(f"{one_more} photos: {one_more} classified.")).to_be_visible()
    opened.go(f"gallery?label={truth[again.name]}&since={since}")
    expect(page.locator(".card .file")).to_have_text([again.name])

    stack.command("reprocess", "--since", since, "--yes", "--wait")
    assert labels(stack, truth) == truth


def drop(page: Page, photos: list[Path]) -> None:
    page.locator("input[type=file]").first.set_input_files(photos)


def labels(stack: Stack, names: Iterable[str]) -> dict[str, str | None]:
    """The model's labels in the rows, whatever the reviews."""
    address = f"s3://{stack.target.images_bucket}/incoming/"
    rows = stack.target.predictions_table().get_many([address + each for each in names])
    return {image.removeprefix(address): row.label for image, row in rows.items()}
