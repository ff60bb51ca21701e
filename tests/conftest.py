"""Shared by all tests: groups for parallel runs, leftover processes, skips in CI, Ctrl-C."""

from __future__ import annotations

import gc
import os
import signal
import uuid
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.scheduling import OneProcessPerGroup

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# The longest tests first, so that all processes of a parallel run end at about the same time.
FIRST = ("tests/integration/", "tests/training/", "tests/model/", "tests/parity/")
MARK = "IMAGEDROP_TEST_PROCESS"
GRACE_SECONDS = 20


def pytest_configure() -> None:
    # Under `nohup ... &` SIGINT is ignored, and every child process would inherit that.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Two test processes with all cores each would wait for each other.
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    gc.freeze()  # freeze the objects of thousands of tests, so that garbage collection skips them


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessPerGroup:
    return OneProcessPerGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> tuple[int, int]:
    folder = next(
        (place for place, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST)
    )
    return folder, item.get_closest_marker("thorough") is None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """A skipped test fails in CI, where everything it needs must be installed."""
    result = yield
    report = result.get_result()
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as a failure in CI: {report.longrepr}"


@pytest.fixture(scope="session", autouse=True)
def every_process_ends_with_the_tests() -> Iterator[None]:
    """Fails when a process that a test started is still running at the end, and kills it."""
    mark = uuid.uuid4().hex
    os.environ[MARK] = mark
    yield
    _, left = psutil.wait_procs(_started_with(mark), timeout=GRACE_SECONDS)
    commands = []
    for process in left:
        try:
            commands.append(f"{process.pid}: {' '.join(process.cmdline())}")
            process.kill()
        except psutil.NoSuchProcess:
            continue
    assert commands == []


def _started_with(mark: str) -> list[psutil.Process]:
    """Return every process that inherited this mark, except multiprocessing's own tracker."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get(MARK) == mark and process.pid != os.getpid()
            if ours and "resource_tracker" not in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a file.

    While Playwright runs, it holds the event loop of the process, which other files need.
    """
    from playwright.sync_api import expect  # noqa: PLC0415 - few tests need it

    from tests.page.browsers import PATIENCE_MILLISECONDS, launched  # noqa: PLC0415

    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with launched() as started:
        yield started
