"""A browser, the page's loopback server, and a stand-in for the API behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.page.browsers import (
    DESKTOP,
    Site,
    hosted,
    site,
    target_of,
)
from tests.page.made_up import made_up_models, made_up_picture, made_up_rows, made_up_runs
from tests.page.stand_in import StandIn, explanation, serving


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with serving(StandIn()) as api:
        yield api


@pytest.fixture(scope="module")
def address(stand_in: StandIn) -> Iterator[str]:
    with hosted(target_of(stand_in)) as found:
        yield found


@pytest.fixture
def api(stand_in: StandIn) -> StandIn:
    """The stand-in as it is at first: 240 rows, one in twelve rejected."""
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


@pytest.fixture(scope="module")
def window(browser: Browser, address: str) -> Iterator[Site]:
    """One window for the tests of a file: a new one for each would double the CPU time."""
    with site(browser, address) as found:
        yield found


@pytest.fixture
def opened(window: Site, api: StandIn) -> Iterator[Site]:
    """An empty window of desktop size; an error of a script fails the test."""
    window.page.goto("about:blank")
    window.page.set_viewport_size(DESKTOP)
    yield window
    errors, window.errors = window.errors, []
    assert not errors, errors
