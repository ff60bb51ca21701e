"""A hundred thousand rows: the document stays small, and scrolling stays smooth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.browsers import SCREENSHOTS, site
from tests.page.made_up import Row, made_up_row
from tests.page.stand_in import StandIn

ROWS = 100_000
# 50 frames a second.
FRAME_MILLISECONDS = 20.0
TRACED = ["devtools.timeline", "cc", "benchmark"]
LOAD = """wanted => new Promise(done => {
    const step = () => {
        scrollTo(0, document.body.scrollHeight);
        if (document.getElementById('count').textContent === wanted) done();
        else setTimeout(step, 30);
    };
    step();
})"""
SCROLL = """milliseconds => new Promise(done => {
    const began = performance.now();
    let frames = 0;
    const step = now => {
        frames += 1;
        scrollBy(0, 60);
        if (now < began + milliseconds) requestAnimationFrame(step);
        else done(1000 * frames / (now - began));
    };
    requestAnimationFrame(step);
})"""


def lean_rows() -> list[Row]:
    """Returns rows without what a gallery does not show: they take a quarter of the time."""
    row = made_up_row(0)
    shown = ("status", "label", "confidence", "format", "width", "height", "classified_at")
    lean = {name: row[name] for name in shown}
    return [
        lean | {"id": str(number), "key": f"incoming/{number}.jpg", "version": "v"}
        for number in range(ROWS)
    ]


@pytest.fixture
def scrolled(browser: Browser, api: StandIn, address: str) -> Iterator[Page]:
    """A gallery that has loaded every row."""
    api.rows = lean_rows()
    with site(browser, address) as opened:
        page = opened.go("gallery")
        expect(page.locator(".card").first).to_be_visible()
        page.evaluate(LOAD, f"{ROWS:,} photos")
        yield page


def frame_costs(trace: bytes) -> list[float]:
    """Returns the CPU time of the page's thread for each frame, milliseconds, in order of size.

    CPU time, because the machine of a test runs other tests too.
    """
    events: list[dict[str, Any]] = json.loads(trace)["traceEvents"]
    return sorted(
        event["tdur"] / 1000
        for event in events
        if event["name"] == "ProxyMain::BeginMainFrame" and "tdur" in event
    )


def test_scrolling_through_a_hundred_thousand_rows_stays_smooth(
    browser: Browser, scrolled: Page
) -> None:
    scrolled.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(scrolled.locator(f"[aria-posinset='{ROWS}']")).to_be_visible()
    scrolled.evaluate("scrollTo(0, document.body.scrollHeight / 3)")
    expect(scrolled.locator("img.there").first).to_be_visible()
    browser.start_tracing(page=scrolled, categories=TRACED)
    frames_per_second = scrolled.evaluate(SCROLL, 3000)
    costs = frame_costs(browser.stop_tracing())
    megabytes = scrolled.evaluate("performance.memory.usedJSHeapSize / 1e6")
    figures = {
        "frames_per_second": round(frames_per_second, 1),
        "frames": len(costs),
        "median_milliseconds": round(costs[len(costs) // 2], 2),
        "p95_milliseconds": round(costs[int(0.95 * len(costs))], 2),
        "cards": scrolled.locator(".card").count(),
        "megabytes": round(megabytes, 1),
    }
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    Path(SCREENSHOTS / "scrolling.json").write_text(json.dumps(figures) + "\n")
    assert len(costs) > 30, figures
    assert figures["p95_milliseconds"] < FRAME_MILLISECONDS, figures
    assert figures["cards"] < 80, figures
    assert figures["megabytes"] < 200, figures
