"""Review by keyboard: decisions are stored beside the model's answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.browsers import Site
from tests.page.made_up import Row, made_up_row
from tests.page.stand_in import REVIEWER, StandIn


@pytest.fixture
def unsure(api: StandIn) -> list[Row]:
    """Four photos, the least sure first."""
    api.rows = [
        made_up_row(number, label="pug", confidence=0.3 + number / 10) for number in range(4)
    ]
    return api.rows


def name(page: Page) -> str:
    return page.locator(".stage .file").inner_text()


def wait_for(page: Page, row: Row) -> None:
    expect(page.locator(".stage .file")).to_have_text(row["key"].removeprefix("incoming/"))


def said(api: StandIn, row: Row) -> list[str]:
    path = f"/images/{row['id']}/review"
    return [asked["action"] for asked in api.calls("PUT", path)]


def wait_until_said(page: Page, api: StandIn, row: Row, expected: list[str]) -> None:
    """The page shows the next photo before its decision has arrived."""
    deadline = time.monotonic() + 10
    while said(api, row) != expected and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    assert said(api, row) == expected


# A guard prevents the event; a made-up event opens no dialog.
ASKS_TO_STAY = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))"


def asks_to_stay(page: Page) -> bool:
    return bool(page.evaluate(ASKS_TO_STAY))


@contextmanager
def held_writes(page: Page) -> Iterator[list[Route]]:
    """Keeps every decision on its way; claims and undos go through."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.post_data_json["action"] in ("claim", "undo"):
            route.continue_()
        else:
            held.append(route)

    page.route("**/review", hold)
    try:
        yield held
    finally:
        page.unroute("**/review")


@contextmanager
def held_listings(page: Page, parameter: str) -> Iterator[list[Route]]:
    """Keeps every listing with this parameter on its way."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**/predictions?*{parameter}*", hold)
    try:
        yield held
    finally:
        page.unroute(f"**/predictions?*{parameter}*")


def test_each_key_says_one_thing_and_the_next_photo_comes_by_itself(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    page = opened.go("review")
    wait_for(page, unsure[0])
    expect(page.get_by_role("heading", level=2)).to_contain_text("The model says pug 0.30")
    page.keyboard.press("Enter")
    wait_for(page, unsure[1])
    page.keyboard.press("1")
    wait_for(page, unsure[2])
    page.keyboard.press("n")
    wait_for(page, unsure[3])
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Nothing is left to review")).to_be_visible()
    expect(page.get_by_text("3 reviewed now, 0 to go")).to_be_visible()
    for row, action in zip(unsure, ("confirm", "correct", "none_of_these", "skip"), strict=True):
        wait_until_said(page, api, row, ["claim", action])
    assert unsure[0]["review"]["label"] == "pug"
    assert unsure[1]["review"]["label"] == unsure[1]["predictions"][1]["label"]
    assert all(row["label"] == "pug" for row in unsure)


def test_where_two_models_disagree_comes_before_what_is_unsure(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    said = {"label": "beagle", "confidence": 0.81, "model": "dogs@3"}
    unsure[2]["candidate"] = said | {"at": unsure[2]["classified_at"]}
    page = opened.go("review")
    wait_for(page, unsure[2])
    expect(page.get_by_text("dogs@3, a candidate on trial, says beagle 0.81.")).to_be_visible()
    page.keyboard.press("Enter")
    wait_for(page, unsure[0])
    page = opened.go(f"photo/{unsure[2]['id']}")
    expect(page.get_by_text("dogs@3, a candidate on trial, disagrees: beagle 0.81")).to_be_visible()


def test_a_table_without_disagreements_is_not_read_to_its_end_for_them(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    api.finds_nothing = "disagreement"
    page = opened.go("review")
    wait_for(page, unsure[0])
    page.keyboard.press("Enter")
    wait_for(page, unsure[1])
    asked = [each for each in api.calls("GET", "/predictions") if "disagreement" in each]
    assert [each.get("cursor") for each in asked] == [None, "1", "2"]


def test_a_reviewer_who_is_faster_than_the_listing_sees_what_it_brings(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    unknown = made_up_row(9, label="unknown_dog", confidence=0.91)
    api.rows.append(unknown)
    page = opened.page
    with held_listings(page, "disagreement=true") as held:
        opened.go("review")
        wait_for(page, unknown)
        page.keyboard.press("1")
        wait_until_said(page, api, unknown, ["claim", "correct"])
        held[0].continue_()
        wait_for(page, unsure[0])


def test_a_user_who_leaves_before_there_is_a_photo_sees_the_next_section(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    page = opened.page
    with held_listings(page, "sort=least_sure") as held:
        opened.go("review")
        deadline = time.monotonic() + 10
        while not held and time.monotonic() < deadline:
            page.wait_for_timeout(20)
        assert held
        opened.go("gallery")
        expect(page.locator(".card .file").first).to_be_visible()
    assert api.calls("PUT", f"/images/{unsure[0]['id']}/review") == []


def test_another_label_is_typed(opened: Site, api: StandIn, unsure: list[Row]) -> None:
    page = opened.go("review")
    wait_for(page, unsure[0])
    page.keyboard.press("l")
    page.keyboard.type("Samoyed")
    page.keyboard.press("Enter")
    wait_for(page, unsure[1])
    wait_until_said(page, api, unsure[0], ["claim", "correct"])
    assert unsure[0]["review"]["label"] == "Samoyed"


def test_a_typed_label_keeps_its_key(opened: Site, api: StandIn, unsure: list[Row]) -> None:
    page = opened.go("review")
    for row, label in zip(unsure, ("saluki", "borzoi"), strict=False):
        wait_for(page, row)
        page.keyboard.press("l")
        page.keyboard.type(label)
        page.keyboard.press("Enter")
    for row, key in zip(unsure[2:], "67", strict=True):
        wait_for(page, row)
        page.keyboard.press(key)
    wait_until_said(page, api, unsure[3], ["claim", "correct"])
    assert [row["review"]["label"] for row in unsure] == ["saluki", "borzoi", "saluki", "borzoi"]


def test_undo_takes_the_last_word_back_and_shows_the_photo_again(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    page = opened.go("review")
    wait_for(page, unsure[0])
    page.keyboard.press("1")
    wait_for(page, unsure[1])
    page.keyboard.press("u")
    wait_for(page, unsure[0])
    assert unsure[0]["review"] is None
    page.keyboard.press("Enter")
    wait_for(page, unsure[1])
    wait_until_said(page, api, unsure[0], ["claim", "correct", "undo", "claim", "confirm"])


def decided(by: str) -> Row:
    return {"label": "beagle", "by": by, "at": "2026-11-29T12:00:00Z", "action": "correct"}


def test_undoing_a_skip_keeps_what_was_said_before(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    unsure[0]["review"] = earlier = decided(REVIEWER)
    page = opened.go(f"review?id={unsure[0]['id']}")
    wait_for(page, unsure[0])
    page.keyboard.press("s")
    wait_for(page, unsure[1])
    page.keyboard.press("u")
    wait_for(page, unsure[0])
    assert unsure[0]["review"] == earlier
    wait_until_said(page, api, unsure[0], ["claim", "claim"])


def test_undoing_the_skip_of_a_photo_that_was_reviewed_meanwhile_keeps_the_review(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    page = opened.go("review")
    wait_for(page, unsure[0])
    unsure[0]["review"] = meanwhile = decided(REVIEWER)  # in another window
    page.keyboard.press("s")
    wait_for(page, unsure[1])
    page.keyboard.press("u")
    wait_for(page, unsure[0])
    assert unsure[0]["review"] == meanwhile
    wait_until_said(page, api, unsure[0], ["claim", "skip", "claim"])


def test_undoing_a_word_that_was_not_saved_keeps_what_was_said_before(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    unsure[0]["review"] = earlier = decided(REVIEWER)
    page = opened.go(f"review?id={unsure[0]['id']}")
    wait_for(page, unsure[0])
    with held_writes(page) as writes:
        page.keyboard.press("n")
        wait_for(page, unsure[1])
        page.keyboard.press("u")  # before the answer has come
        writes.pop().abort()
        expect(page.get_by_role("alert")).to_contain_text("was not saved")
        wait_for(page, unsure[0])
    assert unsure[0]["review"] == earlier
    assert "undo" not in said(api, unsure[0])


def test_a_photo_reviewed_since_it_was_listed_is_passed_over(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    page = opened.go("review")
    wait_for(page, unsure[0])
    unsure[1]["review"] = decided("bob@example.com")
    page.keyboard.press("Enter")
    wait_for(page, unsure[2])
    assert said(api, unsure[1]) == []


def test_a_window_whose_last_words_are_not_written_asks_before_it_closes(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    page = opened.go("review")
    wait_for(page, unsure[0])
    with held_writes(page) as writes:
        page.keyboard.press("Enter")
        wait_for(page, unsure[1])
        assert asks_to_stay(page)
        writes.pop().continue_()
        page.wait_for_function(f"() => !({ASKS_TO_STAY})")
    assert unsure[0]["review"]["action"] == "confirm"


def test_a_photo_that_another_person_reviews_is_passed_over(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    api.claimed.add(unsure[0]["id"])
    page = opened.go("review")
    wait_for(page, unsure[1])
    expect(page.locator("#announcer")).not_to_be_empty()


def test_a_word_that_was_not_saved_is_named(opened: Site, api: StandIn, unsure: list[Row]) -> None:
    page = opened.go("review")
    wait_for(page, unsure[0])
    api.claimed.add(unsure[0]["id"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("was not saved")
    wait_for(page, unsure[1])
    api.claimed.clear()
    page.get_by_role("button", name="Look at it again").click()
    wait_for(page, unsure[0])
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_queue_is_chosen_by_label_group_and_confidence(opened: Site, api: StandIn) -> None:
    page = opened.go("review?label=pug&max_confidence=0.6&group=")
    expect(page.get_by_role("heading", level=2)).to_contain_text("pug")
    asked = api.calls("GET", "/predictions")[-1]
    assert asked | {"limit": ""} == {
        "label": "pug",
        "max_confidence": "0.6",
        "reviewed": "false",
        "status": "CLASSIFIED",
        "sort": "least_sure",
        "limit": "",
    }
    page.get_by_label("Look again at reviewed photos").check()
    expect(page.get_by_role("heading", name="Nothing is left to review")).to_be_visible()


def test_what_the_model_calls_unknown_comes_first(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    unknown = made_up_row(9, label="unknown_dog", confidence=0.91)
    api.rows.append(unknown)
    page = opened.go("review")
    wait_for(page, unknown)
    page.keyboard.press("1")
    wait_for(page, unsure[0])


def test_one_photo_is_reviewed_from_its_own_page(opened: Site, api: StandIn) -> None:
    row = api.rows[4]
    page = opened.go(f"photo/{row['id']}")
    page.locator(".about").get_by_role("link", name="Review").click()
    wait_for(page, row)
    page.keyboard.press("Enter")
    wait_until_said(page, api, row, ["claim", "confirm"])
    page.go_back()
    expect(page.locator(".mark.good")).to_contain_text("Confirmed")


def test_typing_in_a_field_decides_nothing(opened: Site, api: StandIn, unsure: list[Row]) -> None:
    page = opened.go("review")
    wait_for(page, unsure[0])
    page.get_by_role("searchbox", name="Group").or_(page.get_by_label("Group")).press_sequentially(
        "sun1"
    )
    assert name(page) == unsure[0]["key"].removeprefix("incoming/")
    wait_until_said(page, api, unsure[0], ["claim"])


def test_enter_on_the_choice_of_photos_opens_it_and_decides_nothing(
    opened: Site, api: StandIn, unsure: list[Row]
) -> None:
    page = opened.go("review")
    wait_for(page, unsure[0])
    summary = page.locator("summary", has_text="Which photos")
    was_open = summary.evaluate("each => each.parentElement.open")
    summary.focus()
    page.keyboard.press("Enter")
    assert summary.evaluate("each => each.parentElement.open") != was_open
    wait_for(page, unsure[0])
    assert unsure[0]["review"] is None


def test_a_stack_without_reviews_says_so(opened: Site, api: StandIn) -> None:
    api.missing.add("review")
    page = opened.go("review")
    expect(page.get_by_text("This stack does not offer this yet")).to_be_visible()
