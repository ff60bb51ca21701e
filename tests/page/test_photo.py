"""One photo, and everything that is known about it."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import expect

from tests.page.browsers import Site
from tests.page.made_up import made_up_row, rejected_row
from tests.page.stand_in import StandIn


def test_a_photo_shows_its_five_best_its_facts_and_what_confidence_means(
    opened: Site, api: StandIn
) -> None:
    row = api.rows[0]
    page = opened.go(f"photo/{row['id']}")
    expect(page.get_by_role("heading", level=2)).to_contain_text("pug")
    bars = page.get_by_role("list", name="The five best labels").get_by_role("listitem")
    expect(bars).to_have_count(5)
    expect(bars.first).to_contain_text(f"{row['confidence']:.2f}")
    expect(page.locator(".facts")).to_contain_text("dogs@2")
    expect(page.locator(".facts")).to_contain_text("900 \N{MULTIPLICATION SIGN} 1200")
    expect(page.get_by_text("Confidence is the model's own estimate")).to_be_visible()
    expect(page.locator(".frame img.there")).to_be_visible()
    assert {"version": row["version"], "size": "1024"} in api.calls(
        "GET", f"/images/{row['id']}/thumbnail"
    )


def test_a_rejected_photo_says_why_and_what_to_do(opened: Site, api: StandIn) -> None:
    api.rows = [rejected_row(0)]
    page = opened.go(f"photo/{api.rows[0]['id']}")
    expect(page.get_by_role("heading", level=2)).to_have_text("The end of the file is missing")
    expect(page.get_by_text("Copy it again from the camera")).to_be_visible()


def test_the_map_of_where_the_model_looked_lies_on_the_photo(opened: Site, api: StandIn) -> None:
    page = opened.go(f"photo/{api.rows[0]['id']}")
    page.get_by_role("button", name="Where did the model look?").click()
    heat, frame = page.locator("canvas.heat"), page.locator(".frame")
    expect(heat).to_be_visible()
    drawn, whole = heat.bounding_box(), frame.bounding_box()
    assert drawn is not None
    assert whole is not None
    assert abs((drawn["x"] - whole["x"]) / whole["width"] - 0.1) < 0.01
    assert abs(drawn["height"] / whole["height"] - 0.9) < 0.01
    page.get_by_role("button", name="Where did the model look?").click()
    expect(heat).to_be_hidden()


def test_a_model_without_a_map_says_so(opened: Site, api: StandIn) -> None:
    api.rows = [made_up_row(4)]
    page = opened.go(f"photo/{api.rows[0]['id']}")
    page.get_by_role("button", name="Where did the model look?").click()
    expect(page.get_by_text("This model cannot show where it looked.")).to_be_visible()


def test_history_and_way_are_shown_on_request(opened: Site, api: StandIn) -> None:
    page = opened.go(f"photo/{api.rows[0]['id']}")
    page.get_by_text("History").click()
    expect(page.get_by_role("table")).to_contain_text("dogs@2")
    page.get_by_text("How it got here").click()
    expect(page.locator(".trace")).to_contain_text("Uploaded")
    assert api.calls("GET", f"/images/{api.rows[0]['id']}/history")


def test_a_row_can_be_downloaded(opened: Site, api: StandIn) -> None:
    page = opened.go(f"photo/{api.rows[0]['id']}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download this row").click()
    assert download.value.suggested_filename == "photo_00000.jpg.json"
    assert json.loads(Path(download.value.path()).read_text()) == api.rows[0]


def test_the_arrow_keys_go_to_the_next_photo_of_the_gallery(opened: Site, api: StandIn) -> None:
    page = opened.go("gallery")
    page.locator(".card").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("photos/photo_00000.jpg")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", level=1)).to_have_text("photos/photo_00001.jpg")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", level=1)).to_have_text("photos/photo_00000.jpg")


def test_an_unknown_photo_is_not_an_old_stack(opened: Site) -> None:
    page = opened.go("photo/bm90aGluZw")
    expect(page.get_by_role("alert")).to_contain_text("No prediction has this id.")
