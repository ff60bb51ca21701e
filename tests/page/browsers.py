"""The browser of the tests, and a page that is open in it."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, sync_playwright

from imagedrop.page.hosting import hosting
from imagedrop.target import Target
from imagedrop.target_name import TargetName
from tests.page.stand_in import StandIn

REPOSITORY = Path(__file__).parents[2]
SCREENSHOTS = REPOSITORY / "build" / "screenshots"
OPTIONS = (
    "--no-sandbox",  # the tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE_MILLISECONDS = 15_000


def chromium() -> str:
    """Returns the path of Debian's Chromium; skips the test where it is not installed."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    return found


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Starts a browser with none of the user's data."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), headless=True, args=list(OPTIONS)
        )
        try:
            yield browser
        finally:
            browser.close()


def target_of(api: StandIn) -> Target:
    """Returns the target that a stand-in of the API is."""
    session = boto3.Session("test", "test", region_name="us-east-1")
    outputs = {"ApiUrl": api.url, "ImagesBucketName": "photos"}
    return Target(session, outputs, endpoint_url=api.url)


@contextlib.contextmanager
def hosted(target: Target) -> Iterator[str]:
    """Runs the loopback server of a stack; yields the page's address."""
    with hosting(target, TargetName.LOCAL) as host:
        thread = threading.Thread(target=host.run)
        thread.start()
        try:
            yield host.address
        finally:
            host.server.should_exit = True
            thread.join()


@dataclass
class Site:
    """The page in a browser, and the errors that its scripts and its policy have reported."""

    page: Page
    address: str
    errors: list[str] = field(default_factory=list)

    def go(self, place: str) -> Page:
        """Opens a section: the part of the address after the #."""
        self.page.goto(f"{self.address}#/{place}")
        return self.page


@contextlib.contextmanager
def site(browser: Browser, address: str, **options: Any) -> Iterator[Site]:
    """Opens a new context; its end fails if a script failed or broke the policy.

    Args:
        options: further ones of the context.
    """
    context = browser.new_context(**{"viewport": DESKTOP} | options)
    try:
        found = Site(context.new_page(), address)
        found.page.set_default_timeout(PATIENCE_MILLISECONDS)
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.on("console", lambda line: _note(found, line))
        yield found
        assert not found.errors, found.errors
    finally:
        context.close()


def _note(found: Site, line: ConsoleMessage) -> None:
    # The browser reports every answer that is an error; the page shows them to the user.
    if line.type == "error" and "Failed to load resource" not in line.text:
        found.errors.append(line.text)
