"""The gallery: photos of a filter, and the address that holds it."""

from __future__ import annotations

import re
import time

from playwright.sync_api import Page, expect

from tests.page.browsers import PHONE, Site
from tests.page.made_up import made_up_row, made_up_rows, rejected_row
from tests.page.stand_in import StandIn

HOSTILE = "<img src=x onerror=document.title='hacked'>.jpg"


def names(page: Page) -> list[str]:
    return page.locator(".card .name").all_inner_texts()


def test_the_newest_photos_are_shown_with_label_and_confidence(opened: Site) -> None:
    page = opened.go("")
    card = page.locator(".card").first
    expect(card.locator(".name")).to_have_text("pug")
    expect(card.locator(".number")).to_have_text(re.compile(r"0\.\d\d"))
    expect(card.locator("img.there")).to_be_visible()


def test_a_filter_stands_in_the_address_and_comes_back_from_it(opened: Site) -> None:
    page = opened.go("gallery")
    page.get_by_role("combobox", name="Label").fill("beagle")
    page.get_by_role("combobox", name="Label").press("Enter")
    expect(page).to_have_url(re.compile(r"#/gallery\?label=beagle$"))
    expect(page.locator("#count")).to_contain_text("photos")
    expect(page.locator(".card").first).to_be_visible()
    assert set(names(page)) == {"beagle"}
    page.reload()
    expect(page.get_by_role("combobox", name="Label")).to_have_value("beagle")
    expect(page.locator(".card").first).to_be_visible()
    assert set(names(page)) == {"beagle"}


def test_filters_are_combined_and_sent_under_the_apis_names(opened: Site, api: StandIn) -> None:
    page = opened.go("gallery?label=pug&min_confidence=0.5&max_confidence=0.9&sort=least_sure")
    expect(page.locator(".card").first).to_be_visible()
    asked = api.calls("GET", "/predictions")[-1]
    assert asked | {"limit": ""} == {
        "label": "pug",
        "min_confidence": "0.5",
        "max_confidence": "0.9",
        "sort": "least_sure",
        "limit": "",
    }
    shown = page.locator(".card .number").all_inner_texts()
    assert shown == sorted(shown)
    page.get_by_role("button", name="Remove the filter pug").or_(
        page.get_by_role("button", name="Remove the filter Label: pug")
    ).click()
    expect(page).not_to_have_url(re.compile("label="))


def test_each_filter_can_be_set_by_hand(opened: Site) -> None:
    page = opened.go("gallery")
    page.get_by_label("Status").select_option("Rejected")
    expect(page.locator(".card.rejected").first).to_be_visible()
    expect(page.locator(".card.classified")).to_have_count(0)
    page.get_by_label("Status").select_option("Any status")
    page.get_by_label("Source").select_option("Bulk run")
    page.get_by_label("Group").fill("retriever")
    page.get_by_label("Group").press("Enter")
    expect(page).to_have_url(re.compile(r"source=bulk&group=retriever"))
    page.get_by_role("button", name="Clear all").click()
    expect(page).to_have_url(re.compile(r"#/gallery\?$"))


def test_labels_to_choose_from_have_the_models_own_names(opened: Site) -> None:
    page = opened.go("gallery")
    expect(page.locator("#labels option[value=pug]")).to_have_text("Pug dog")
    expect(page.locator("#labels option[value=beagle]")).to_have_text("beagle")


def test_scrolling_loads_the_rest_and_keeps_the_document_small(opened: Site, api: StandIn) -> None:
    api.rows = made_up_rows(3_000)
    page = opened.go("gallery")
    expect(page.locator(".card").first).to_be_visible()
    deadline = time.monotonic() + 30
    while page.locator("#count").inner_text() != "3,000 photos" and time.monotonic() < deadline:
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(50)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("[aria-posinset='3000']")).to_be_visible()
    assert page.locator(".card").count() < 80


def test_doubt_has_its_colour_its_group_and_its_filter(opened: Site) -> None:
    page = opened.go("gallery?label=unknown_dog")
    card = page.locator(".card.doubt", has_text="among retriever").first
    expect(card.locator(".name")).to_have_text("unknown dog")
    expect(card).to_contain_text("nearest pug")
    colour = "node => getComputedStyle(node).color"
    doubtful = card.locator(".name").evaluate(colour)
    opened.go("gallery?label=pug")
    assert page.locator(".card .name").first.evaluate(colour) != doubtful
    opened.go("gallery?group=retriever")
    expect(page.locator(".card").first).to_contain_text("among retriever")


def test_pages_without_a_match_are_passed_over(opened: Site, api: StandIn) -> None:
    api.empty_pages = 5
    page = opened.go("gallery?label=pug")
    expect(page.locator(".card").first).to_be_visible()
    api.empty_pages = 0


def test_the_arrow_keys_walk_from_photo_to_photo(opened: Site) -> None:
    page = opened.go("gallery")
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    here = "document.activeElement.closest('[data-index]').dataset.index"
    assert page.evaluate(here) == "1"
    for _ in range(8):
        page.keyboard.press("ArrowDown")
    focused = page.locator("a.card:focus")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#/photo/"))


def test_back_from_a_photo_the_gallery_is_where_it_was(opened: Site) -> None:
    page = opened.go("gallery")
    expect(page.locator(".card").first).to_be_visible()
    page.evaluate("scrollTo(0, 1500)")
    page.wait_for_timeout(200)
    page.locator("[data-index='24'] a").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.go_back()
    expect(page.locator("[data-index='24'] a")).to_be_in_viewport()


def test_a_hostile_name_is_text(opened: Site, api: StandIn) -> None:
    key = f"incoming/{HOSTILE}"
    api.rows = [
        made_up_row(1, key=key, label=HOSTILE, predictions=[{"label": HOSTILE, "confidence": 0.9}]),
        rejected_row(2, key=f"{key}2", reason=HOSTILE),
    ]
    page = opened.go("gallery")
    expect(page.locator(".card").first).to_contain_text(HOSTILE)
    page.locator(".card").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    assert page.title() != "hacked"
    assert page.locator("img[src='x']").count() == 0


def test_an_empty_stack_says_how_to_begin(opened: Site, api: StandIn) -> None:
    api.rows = []
    page = opened.go("gallery")
    expect(page.get_by_role("heading", name="No photos yet")).to_be_visible()
    page.get_by_role("link", name="drag photos").click()
    expect(page).to_have_url(re.compile("#/drop"))


def test_a_failing_api_is_explained_and_asked_again(opened: Site, api: StandIn) -> None:
    api.failing = "DynamoDB is busy."
    page = opened.go("gallery")
    expect(page.get_by_role("alert")).to_contain_text("DynamoDB is busy.")
    api.failing = None
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".card").first).to_be_visible()


def test_photos_without_pictures_show_their_format(opened: Site, api: StandIn) -> None:
    """A stack that makes no thumbnails yet."""
    api.missing.add("thumbnail")
    page = opened.go("gallery")
    expect(page.locator(".card .instead").first).to_have_text("JPEG")


def test_a_phone_shows_two_columns_and_no_sideways_scrolling(opened: Site) -> None:
    opened.page.set_viewport_size(PHONE)
    page = opened.go("gallery")
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = [page.locator(f"[data-index='{index}']").bounding_box() for index in (0, 1, 2)]
    tops = [box["y"] for box in boxes if box]
    assert tops[0] == tops[1] < tops[2]


def test_nothing_moves_while_the_pictures_come(opened: Site) -> None:
    page = opened.page
    page.add_init_script(
        """window.shifts = 0;
        const add = list => list.getEntries().forEach(e => { window.shifts += e.value; });
        new PerformanceObserver(add).observe({type: 'layout-shift', buffered: true});"""
    )
    opened.go("gallery")
    expect(page.locator("img.there").first).to_be_visible()
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") < 0.02
