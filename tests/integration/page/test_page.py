"""The page on the local cloud: the real template, functions and model, with IAM enforced."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.integration.conftest import REPOSITORY, Stack
from tests.page import browsers
from tests.page.browsers import Site, hosted, site

PHOTOS = REPOSITORY / "demo" / "photos"
PATIENCE_MILLISECONDS = 90_000


@pytest.fixture(scope="module")
def opened(browser: Browser, stack: Stack) -> Iterator[Site]:
    with hosted(stack.target) as address, site(browser, address) as found:
        found.page.set_default_timeout(PATIENCE_MILLISECONDS)
        expect.set_options(timeout=PATIENCE_MILLISECONDS)
        yield found
        expect.set_options(timeout=browsers.PATIENCE_MILLISECONDS)


@pytest.fixture(scope="module")
def dropped(opened: Site) -> Page:
    """Three photos and a broken one, dropped and answered, in a page that was never reloaded."""
    page = opened.go("drop")
    names = ("pug.webp", "cat.png", "pug_sideways.jpg", "beagles_cut.jpg")
    page.locator("input[type=file]").first.set_input_files([PHOTOS / name for name in names])
    expect(page.get_by_text("4 photos: 3 classified, 1 rejected.")).to_be_visible()
    return page


def line(page: Page, name: str) -> str:
    return page.locator(".dropped", has_text=name).inner_text()


def test_dropped_photos_become_rows_without_a_reload(opened: Site, dropped: Page) -> None:
    opened.go("drop")
    assert "pug" in line(dropped, "pug.webp")
    assert "pug" in line(dropped, "pug_sideways.jpg")
    assert "not a dog" in line(dropped, "cat.png")
    assert "The end of the file is missing" in line(dropped, "beagles_cut.jpg")


def test_a_filter_shows_its_photos_with_their_pictures(opened: Site, dropped: Page) -> None:
    page = opened.go("gallery?label=pug&source=drop&min_confidence=0.3&sort=most_sure")
    expect(page.locator(".card img.there").nth(1)).to_be_visible()
    assert set(page.locator(".card .name").all_inner_texts()) == {"pug"}


def test_a_photo_is_shown_as_it_is_displayed(opened: Site, dropped: Page) -> None:
    """pug_sideways.jpg is turned by its EXIF orientation."""
    page = opened.go("gallery?label=pug")
    page.locator(".card", has_text="pug_sideways.jpg").first.click()
    picture = page.locator(".frame img.there")
    expect(picture).to_be_visible()
    width, height = picture.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    with Image.open(PHOTOS / "pug_sideways.jpg") as stored:
        assert (width > height) == (stored.width < stored.height)
    page.get_by_text("How it got here").click()
    expect(page.locator(".trace")).to_contain_text(re.compile("classified", re.I))


def test_a_review_by_keyboard_is_stored_beside_the_answer(
    opened: Site, dropped: Page, stack: Stack
) -> None:
    image = f"s3://{stack.target.images_bucket}/incoming/pug_sideways.jpg"
    page = opened.go("gallery?label=pug")
    page.locator(".card", has_text="pug_sideways.jpg").first.click()
    page.locator(".about").get_by_role("link", name="Review").click()
    expect(page.locator(".stage .file")).to_have_text("pug_sideways.jpg")
    expect(page.locator(".frame img.there")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("[role=status]", has_text="1 reviewed now")).to_be_visible()
    opened.go("gallery?reviewed=true")
    expect(page.locator(".card", has_text="reviewed").first).to_be_visible()
    record = stack.target.predictions_table().get(image)
    assert record is not None
    assert record.label == "pug"
    assert record.review is not None
    assert record.review.label == record.predictions[1].label


def test_a_new_version_of_a_photo_replaces_its_answer(
    opened: Site, dropped: Page, stack: Stack
) -> None:
    page = opened.go("drop")
    file = io.BytesIO()
    with Image.open(PHOTOS / "cat.png") as photo:
        photo.resize((300, 200)).save(file, "PNG")
    content = {"name": "cat.png", "mimeType": "image/png", "buffer": file.getvalue()}
    page.locator("input[type=file]").first.set_input_files(content)  # type: ignore[arg-type]
    expect(page.get_by_text("5 photos: 4 classified, 1 rejected.")).to_be_visible()
    image = f"s3://{stack.target.images_bucket}/incoming/cat.png"
    record = stack.target.predictions_table().get(image)
    assert record is not None
    assert (record.width, record.height) == (300, 200)
    opened.go("gallery?label=not_a_dog")
    page.locator(".card", has_text="cat.png").first.click()
    page.get_by_text("History").click()
    expect(page.locator(".more tbody tr").first).to_be_visible()
    assert until(page, lambda: page.locator(".more tbody tr").count() == 2, reopen_history)


def test_the_overview_counts_what_was_dropped(opened: Site, dropped: Page) -> None:
    page = opened.go("overview")
    classified = page.locator(".tile", has_text="classified").locator("b")
    assert until(
        page,
        lambda: classified.count() == 1 and int(classified.inner_text().replace(",", "")) >= 4,
        Page.reload,
    )
    expect(page.get_by_text("The end of the file is missing")).to_be_visible()


def reopen_history(page: Page) -> None:
    page.get_by_text("History").click()
    page.get_by_text("History").click()


def until(page: Page, check: Callable[[], bool], again: Callable[[Page], object]) -> bool:
    """Returns whether it becomes true in time: the table's stream is some seconds late."""
    deadline = time.monotonic() + PATIENCE_MILLISECONDS / 1000
    while not check():
        if time.monotonic() > deadline:
            return False
        again(page)
        page.wait_for_timeout(500)
    return True
