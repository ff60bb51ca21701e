"""Screenshots of every section, on a desktop and on a phone, light and dark; none has an
accessibility barrier.

They are in build/screenshots after a run; `python -m tests.page.doc_images` takes some of them to
the docs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.browsers import DESKTOP, PHONE, REPOSITORY, SCREENSHOTS, Site, site
from tests.page.demo_rows import show_demo
from tests.page.stand_in import StandIn

AXE = REPOSITORY / ".tools" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")
SIZES = {"desktop": DESKTOP, "phone": PHONE}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Each size and each scheme once: axe takes longer than everything else.
SEARCHED = ("desktop-light", "phone-dark")


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.skip("axe is not installed: make .tools/axe/.installed needs npm")
    return AXE.read_text()


def barriers(page: Page, axe: str) -> list[str]:
    """Returns the accessibility barriers, with their elements."""
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']} ({each['impact']}): {[node['html'][:120] for node in each['nodes'][:3]]}"
        for each in found["violations"]
        if each["impact"] in SERIOUS
    ]


def gallery(opened: Site) -> None:
    page = opened.go("gallery")
    expect(page.locator("img.there").first).to_be_visible()
    shown = page.locator(".card.classified").count()
    expect(page.locator(".card.classified img.there")).to_have_count(shown)


def photo(opened: Site) -> None:
    page = opened.go("gallery")
    page.locator(".card", has_text="beagles.jpg").click()
    expect(page.locator(".frame img.there")).to_be_visible()
    page.get_by_role("button", name="Where did the model look?").click()
    expect(page.locator(".heat")).to_be_visible()


def rejected(opened: Site) -> None:
    page = opened.go("gallery")
    page.locator(".card", has_text="beagles_cut.jpg").click()
    expect(page.locator(".verdict")).to_contain_text("missing")


def drop(opened: Site) -> None:
    page = opened.go("drop")
    photos = REPOSITORY / "demo" / "photos"
    names = ("pug.jpg", "beagles.jpg", "beagles_cut.jpg", "cat.png", "temple.jpg")
    page.locator("input[type=file]").first.set_input_files([photos / name for name in names])
    expect(page.get_by_text("5 photos: 4 classified, 1 rejected.")).to_be_visible()
    expect(page.locator(".dropped img.there")).to_have_count(4)


def review(opened: Site) -> None:
    expect(opened.go("review").locator(".frame img.there")).to_be_visible()


def overview(opened: Site) -> None:
    page = opened.go("overview")
    expect(page.locator(".chart").first).to_be_visible()
    expect(page.locator(".drift")).to_be_visible()


def runs(opened: Site) -> None:
    expect(opened.go("runs").get_by_role("table")).to_be_visible()


def run(opened: Site) -> None:
    expect(opened.go("runs/holiday-1").locator(".tile").first).to_be_visible()


def models(opened: Site) -> None:
    expect(opened.go("models").get_by_role("table")).to_be_visible()


VIEWS = (gallery, photo, rejected, drop, review, overview, runs, run, models)


@pytest.fixture(params=SIZES)
def shown(
    request: pytest.FixtureRequest, browser: Browser, api: StandIn, address: str
) -> Iterator[tuple[Site, str]]:
    """The page with the demo's photos on one size of screen, and that size's name."""
    show_demo(api)
    phone = request.param == "phone"
    options: dict[str, Any] = {
        "viewport": SIZES[request.param],
        "device_scale_factor": 1.5 if phone else 1,
        "is_mobile": phone,
        "has_touch": phone,
    }
    with site(browser, address, **options) as opened:
        yield opened, request.param


def test_every_section_is_fit_to_be_seen(shown: tuple[Site, str], axe: str) -> None:
    opened, size = shown
    page = opened.page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[str]] = {}
    for view in VIEWS:
        view(opened)
        page.wait_for_timeout(250)  # pictures fade in
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=SCREENSHOTS / f"{view.__name__}-{size}-{scheme}.png")
            width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, f"{view.__name__} scrolls sideways by {width} pixels"
            if f"{size}-{scheme}" in SEARCHED and (barred := barriers(page, axe)):
                found[f"{view.__name__} {scheme}"] = barred
    assert found == {}, json.dumps(found, indent=1)


def test_the_files_of_the_page_are_small() -> None:
    files = list((REPOSITORY / "functions" / "page" / "static").iterdir())
    assert sum(file.stat().st_size for file in files) < 150_000


def test_the_screenshots_of_the_docs_are_small_and_used() -> None:
    page = (REPOSITORY / "docs" / "look.md").read_text()
    files = list((REPOSITORY / "docs" / "images").glob("look-*"))
    assert files
    assert sum(file.stat().st_size for file in files) <= 300_000
    assert [file.name for file in files if f"images/{file.name}" not in page] == []
    assert Path(REPOSITORY / "demo" / "NOTICE.md").is_file()


def test_every_script_is_loaded_at_once() -> None:
    """Each is named in the page, so that the browser need not find them one behind the other."""
    static = REPOSITORY / "functions" / "page" / "static"
    index = (static / "index.html").read_text()
    for script in static.glob("*.js"):
        assert f'"page/{script.name}"' in index
