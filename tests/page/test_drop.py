"""Photos dropped onto the page become rows while the user watches."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.page.browsers import Site
from tests.page.made_up import Row, made_up_row, picture, rejected_row
from tests.page.stand_in import StandIn

# A drag from outside the browser, with files made in the page.
DROP = """([names, folder]) => {
    const transfer = new DataTransfer();
    for (const name of names) transfer.items.add(new File(['x'], name, {type: 'image/jpeg'}));
    for (const kind of ['dragenter', 'dragover', 'drop']) {
        document.body.dispatchEvent(
            new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));
    }
}"""


def answered(key: str, content: bytes) -> Row:
    number = int(re.sub(r"\D", "", key) or 0)
    make = rejected_row if "broken" in key else made_up_row
    return make(number, key=key, bytes=len(content), received_at="2036-11-29T12:00:00Z")


def line(page: Page, name: str) -> str:
    found = page.locator(".dropped", has_text=name)
    expect(found).to_be_visible()
    return found.inner_text()


def test_dropped_photos_become_rows_without_a_reload(opened: Site, api: StandIn) -> None:
    api.answer = answered
    page = opened.go("gallery")
    expect(page.locator(".card").first).to_be_visible()
    page.evaluate(DROP, [["rex_0.jpg", "rex_1.jpg", "rex_2.jpg"], ""])
    expect(page).to_have_url(re.compile("#/drop"))
    expect(page.get_by_text("3 photos: 3 classified.")).to_be_visible()
    assert "pug" in line(page, "rex_0.jpg")
    assert "beagle" in line(page, "rex_1.jpg")
    assert "Great Pyrenees" in line(page, "rex_2.jpg")
    assert {asked["key"] for asked in api.calls("POST", "/uploads")} == {
        "rex_0.jpg",
        "rex_1.jpg",
        "rex_2.jpg",
    }
    page.get_by_role("link", name="beagle").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("rex_1.jpg")


def test_a_rejected_photo_says_why_and_what_to_do(opened: Site, api: StandIn) -> None:
    api.answer = answered
    page = opened.go("drop")
    page.evaluate(DROP, [["broken_3.jpg"], ""])
    expect(page.locator(".dropped", has_text="broken_3.jpg")).to_contain_text(
        "The end of the file is missing"
    )
    assert "Copy it again" in line(page, "broken_3.jpg")
    page.get_by_role("button", name="Problems (1)").click()
    expect(page.locator(".dropped")).to_have_count(1)


def test_files_that_are_no_photos_are_not_sent(opened: Site, api: StandIn, tmp_path: Path) -> None:
    api.answer = answered
    for name, content in (("a.jpg", picture("pug", 40, 30)), ("b.txt", b"x"), ("c.jpg", b"")):
        (tmp_path / name).write_bytes(content)
    page = opened.go("drop")
    page.locator("input[type=file]").first.set_input_files(
        [tmp_path / name for name in ("a.jpg", "b.txt", "c.jpg")]
    )
    expect(page.get_by_text("3 photos: 1 classified, 2 rejected.")).to_be_visible()
    assert "Not an image" in line(page, "b.txt")
    assert "The file is empty" in line(page, "c.jpg")
    assert len(api.calls("POST", "/uploads")) == 1


def test_a_folder_keeps_its_names_and_hidden_files_stay_out(
    opened: Site, api: StandIn, tmp_path: Path
) -> None:
    api.answer = answered
    folder = tmp_path / "dogs" / "spring"
    folder.mkdir(parents=True)
    (folder / "rex_0.jpg").write_bytes(picture("pug", 40, 30))
    (folder / ".DS_Store").write_bytes(b"x")
    page = opened.go("drop")
    page.locator("input[webkitdirectory]").set_input_files(tmp_path / "dogs")
    expect(page.get_by_text("1 photo: 1 classified.")).to_be_visible()
    assert [asked["key"] for asked in api.calls("POST", "/uploads")] == ["dogs/spring/rex_0.jpg"]


def test_a_photo_that_could_not_be_sent_is_sent_again(opened: Site, api: StandIn) -> None:
    api.answer = answered
    api.missing.add("uploads")
    page = opened.go("drop")
    page.evaluate(DROP, [["rex_4.jpg"], ""])
    expect(page.locator(".dropped")).to_contain_text("Not sent")
    api.missing.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".dropped")).to_contain_text("not a dog")


def test_many_photos_are_counted_and_few_lines_are_drawn(opened: Site, api: StandIn) -> None:
    api.answer = answered
    page = opened.go("drop")
    page.evaluate(DROP, [[f"rex_{number}.jpg" for number in range(120)], ""])
    expect(page.locator(".dropped").first).to_be_visible()
    assert page.locator(".dropped").count() < 40
    expect(page.get_by_text("120 photos: 120 classified.")).to_be_visible(timeout=30_000)
