"""Overview, Runs and Models."""

from __future__ import annotations

import re
import time
from collections.abc import Sized

import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.browsers import Site
from tests.page.stand_in import StandIn


def wait_for(page: Page, found: Sized) -> None:
    """Waits until there are two."""
    deadline = time.monotonic() + 10
    while len(found) < 2 and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    assert len(found) == 2


def test_the_overview_counts_what_came(opened: Site, api: StandIn) -> None:
    page = opened.go("overview")
    tiles = page.locator(".tile")
    expect(tiles.nth(0)).to_contain_text("220")
    expect(tiles.nth(1)).to_contain_text("20")
    expect(tiles.nth(3)).to_contain_text("cost so far")
    expect(page.get_by_role("img", name="Photos by day")).to_be_visible()
    expect(page.get_by_text("The end of the file is missing")).to_be_visible()
    assert api.calls("GET", "/summary") == [{"days": "30"}]
    page.get_by_role("link", name="7 days").click()
    expect(page).to_have_url(re.compile("days=7"))
    expect(tiles.nth(0)).to_contain_text("220")
    page.get_by_role("link", name="Great Pyrenees").click()
    expect(page).to_have_url(re.compile("#/gallery.label=Great_Pyrenees"))


def test_the_overview_tells_what_drifts_and_on_how_many_photos(opened: Site, api: StandIn) -> None:
    page = opened.go("overview")
    table = page.get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_count(9)
    brightness = table.get_by_role("row", name=re.compile("^Brightness"))
    expect(brightness.get_by_role("cell")).to_have_text(
        ["as before", "too few", "drift"] + ["as before"] * 5, use_inner_text=True
    )
    (finding,) = page.locator("main li", has_text="most of all").all_inner_texts()
    assert finding.startswith("2026-11-28: Brightness, most of all")
    assert re.search(r"\d+ % of 95, \d+ % before", finding)


def test_the_numbers_of_a_comparison_open_by_keyboard_and_by_touch(
    opened: Site, api: StandIn
) -> None:
    page = opened.go("overview")
    row = page.get_by_role("row", name=re.compile("^Brightness"))
    numbers = row.get_by_text(re.compile(r"index \d\.\d{3}, threshold \d\.\d{3}, [\d,]+ photos"))
    drifting = row.get_by_text("drift", exact=True)
    drifting.press("Enter")
    expect(numbers.nth(1)).to_be_visible()
    expect(numbers.nth(0)).to_be_hidden()
    row.get_by_text("as before").first.click()
    expect(numbers.nth(0)).to_be_visible()


def test_an_overview_of_a_stack_without_drift_shows_the_rest(opened: Site, api: StandIn) -> None:
    api.missing.add("drift")
    page = opened.go("overview")
    expect(page.get_by_role("heading", name="This stack does not offer this yet")).to_be_visible()
    expect(page.locator(".tile").nth(0)).to_contain_text("220")


def test_runs_show_their_progress_and_their_report(opened: Site, api: StandIn) -> None:
    page = opened.go("runs")
    expect(page.get_by_role("row", name=re.compile("holiday-2"))).to_contain_text("1,200 of 5,000")
    page.get_by_role("link", name="holiday-1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("holiday-1")
    expect(page.locator(".tile").nth(0)).to_contain_text("1,000")
    expect(page.get_by_text("The end of the file is missing").first).to_be_visible()
    page.get_by_text("Which ones").click()
    expect(page.get_by_text("folders/a/broken.jpg")).to_be_visible()


def test_a_comparison_shows_its_flips_with_their_pictures(opened: Site, api: StandIn) -> None:
    page = opened.go("runs/compare-1")
    expect(page.locator(".tile").filter(has_text="same label")).to_contain_text("0.964")
    expect(page.locator(".tile").filter(has_text="right, candidate")).to_contain_text("0.925")
    expect(page.get_by_role("heading", name="Flips: 35")).to_be_visible()
    expect(page.get_by_role("heading", name="pug → beagle (31)")).to_be_visible()
    expect(page.get_by_text("a person: pug")).to_be_visible()
    expect(page.locator(".flips img.there")).to_have_count(2)
    page.get_by_role("link", name="Photo incoming/a.jpg").first.click()
    expect(page).to_have_url(re.compile("#/photo/"))


def test_pictures_of_flips_are_not_fetched_for_a_page_that_was_left(
    opened: Site, api: StandIn
) -> None:
    given_up: list[str] = []
    held: list[Route] = []
    page = opened.page
    page.on("requestfailed", lambda request: given_up.append(request.url))
    page.route(re.compile(r"/thumbnail[?]"), lambda route: held.append(route))  # noqa: PLW0108
    opened.go("runs/compare-1")
    expect(page.locator(".flips img")).to_have_count(2)
    wait_for(page, held)
    opened.go("models")
    wait_for(page, given_up)
    assert all("/thumbnail" in url for url in given_up)


def test_models_stand_side_by_side_with_the_command_that_promotes(
    opened: Site, api: StandIn
) -> None:
    page = opened.go("models")
    table = page.get_by_role("table")
    expect(table.get_by_role("columnheader", name="dogs@2 answers")).to_be_visible()
    expect(table).to_contain_text("0.951")
    expect(table.locator("code")).to_have_text(["imagedrop promote dogs --version 3"])


@pytest.mark.parametrize(
    ("section", "route"), [("overview", "summary"), ("runs", "runs"), ("models", "models")]
)
def test_an_older_stack_is_told_from_a_failure(
    opened: Site, api: StandIn, section: str, route: str
) -> None:
    api.missing.add(route)
    page = opened.go(section)
    expect(page.get_by_role("heading", name="This stack does not offer this yet")).to_be_visible()
    api.missing.clear()
    api.failing = "Try again in a second."
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Try again in a second.")


def test_an_empty_stack_says_what_to_do(opened: Site, api: StandIn) -> None:
    api.rows, api.runs, api.models = [], [], []
    for section, text in (
        ("overview", "No photos in this time"),
        ("runs", "No bulk runs yet"),
        ("models", "No models"),
    ):
        page = opened.go(section)
        expect(page.get_by_role("heading", name=text)).to_be_visible()
