"""A browser, the page's loopback server, and a stand-in for the API behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.page.browsers import (
    DESKTOP,
    PATIENCE_MILLISECONDS,
    Site,
    hosted,
    launched,
    site,
    target_of,
)
from tests.page.made_up import made_up_models, made_up_picture, made_up_rows, made_up_runs
from tests.page.stand_in import StandIn, explanation, serving


@dataclass(frozen=True, slots=True)
class Shared:
    """What all files use that a process tests one after the other: starting it takes seconds."""

    browser: Browser
    stand_in: StandIn
    window: Site


OPEN = ExitStack()
FOLDER = Path(__file__).parent
FOLLOWING: list[pytest.Item] = []  # the next test, if it is of this folder


@cache
def shared() -> Shared:
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    browser = OPEN.enter_context(launched())
    stand_in = OPEN.enter_context(serving(StandIn()))
    address = OPEN.enter_context(hosted(target_of(stand_in)))
    return Shared(browser, stand_in, OPEN.enter_context(site(browser, address)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    FOLLOWING[:] = [each for each in [nextitem] if each and FOLDER in each.path.parents]


@pytest.fixture(scope="module", autouse=True)
def closed_after_the_last_file() -> Iterator[None]:
    """While Playwright runs, it holds the process's event loop, which others need."""
    yield
    if not FOLLOWING:
        shared.cache_clear()
        OPEN.close()


@pytest.fixture
def browser() -> Browser:
    return shared().browser


@pytest.fixture
def address() -> str:
    return shared().window.address


@pytest.fixture
def api() -> StandIn:
    """The stand-in as it is at first: 240 rows, one in twelve rejected."""
    stand_in = shared().stand_in
    stand_in.rows = made_up_rows(240)
    stand_in.asked.clear()
    stand_in.missing.clear()
    stand_in.claimed.clear()
    stand_in.before.clear()
    stand_in.answer = None
    stand_in.summary, stand_in.picture_of = [], made_up_picture
    stand_in.map_of = explanation
    stand_in.failing, stand_in.empty_pages, stand_in.finds_nothing = None, 0, ""
    stand_in.runs, stand_in.models = made_up_runs(), made_up_models()
    return stand_in


@pytest.fixture
def opened(api: StandIn) -> Iterator[Site]:
    """An empty window of desktop size; an error of a script fails the test."""
    window = shared().window
    window.page.goto("about:blank")
    window.page.set_viewport_size(DESKTOP)
    yield window
    window.page.unroute_all()
    errors, window.errors = window.errors, []
    assert not errors, errors
