"""`make lint` runs scanners beside each other, and says in their order what each found."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from imagedrop.output import INTERRUPTED
from tools import lint, scanners
from tools.scanners import Outcome, Scanner

SECONDS = 20


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def run(monkeypatch: pytest.MonkeyPatch, *runs: Callable[[], Outcome]) -> int:
    """Runs only these, which are named first, second and so on."""
    names = ("first", "second", "third")
    chosen = [Scanner(name, run) for name, run in zip(names, runs, strict=False)]
    monkeypatch.setattr(scanners, "all_of", lambda *_: chosen)
    return lint.main()


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_a_scanner_that_is_not_installed_fails_in_ci_only(
    monkeypatch: pytest.MonkeyPatch, ci: str, status: int
) -> None:
    monkeypatch.setenv("CI", ci)
    missing = Outcome("skipped: there is no npm", missing=True)
    assert run(monkeypatch, lambda: missing) == status


def test_scanners_run_at_once_and_what_each_found_is_printed_together_in_their_order(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    second_ended = threading.Event()

    def first() -> Outcome:
        assert second_ended.wait(SECONDS)
        return Outcome("two", ("a", "b"))

    def second() -> Outcome:
        second_ended.set()
        return Outcome("one", ("c",))

    assert run(monkeypatch, first, second, lambda: Outcome("none")) == 1
    printed = capfd.readouterr().err.splitlines()
    assert printed == [
        "first: two (0 s)",
        "  a",
        "  b",
        "second: one (0 s)",
        "  c",
        "third: none (0 s)",
    ]


def programs() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "sleep" in each.name()]


def sleeping() -> Outcome:
    subprocess.run(["sleep", "60"], check=False)
    return Outcome("was ended")


def when_it_sleeps() -> None:
    until = time.monotonic() + SECONDS
    while not programs():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_ctrl_c_ends_every_program_that_a_scanner_started(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupting() -> Outcome:
        when_it_sleeps()
        os.kill(os.getpid(), signal.SIGINT)
        return Outcome("ended")

    began = time.monotonic()
    assert run(monkeypatch, sleeping, interrupting) == INTERRUPTED
    assert time.monotonic() - began < SECONDS
    assert programs() == []
    assert capfd.readouterr().err == ""


def test_ctrl_c_ends_no_program_that_runs_beside_the_scanners(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupting() -> Outcome:
        until = time.monotonic() + SECONDS
        while len(programs()) < 2:
            assert time.monotonic() < until
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        return Outcome("ended")

    with subprocess.Popen(["sleep", "60"]) as beside:
        assert run(monkeypatch, sleeping, interrupting) == INTERRUPTED
        assert [each.pid for each in programs()] == [beside.pid]
        beside.kill()


def test_a_scanner_that_looked_at_nothing_is_an_error_for_which_none_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> Outcome:
        when_it_sleeps()
        raise RuntimeError("checkov looked at nothing")

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="looked at nothing"):
        run(monkeypatch, broken, sleeping)
    assert time.monotonic() - began < SECONDS
    assert programs() == []
