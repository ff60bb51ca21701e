"""A browser, the page's loopback server, and a stand-in for the API behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.page.browsers import PATIENCE_MILLISECONDS, Site, hosted, launched, site, target_of
from tests.page.stand_in import (
    StandIn,
    made_up_models,
    made_up_picture,
    made_up_rows,
    made_up_runs,
    serving,
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with launched() as started:
        yield started


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
    stand_in.answer = None
    stand_in.summary, stand_in.picture_of = [], made_up_picture
    stand_in.failing, stand_in.empty_pages = None, 0
    stand_in.runs, stand_in.models = made_up_runs(), made_up_models()
    return stand_in


@pytest.fixture
def opened(browser: Browser, api: StandIn, address: str) -> Iterator[Site]:
    """The page in a new context of the browser; an error of a script fails the test."""
    with site(browser, address) as found:
        yield found
