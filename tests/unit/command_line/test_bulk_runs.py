"""Looking at runs, waiting for them, stopping and resuming them, and reading their reports."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bulk.progress import Progress
from imagedrop import polling
from imagedrop.bulk.progress import POLL_SECONDS
from imagedrop.bulk.runs import bulk_runs
from imagedrop.commands import bulk_wait
from imagedrop.errors import UserError
from tests.unit.command_line.conftest import Stack

RUN = "dogs-20261125t154512"


@pytest.fixture
def run(stack: Stack) -> str:
    """One that is at work."""
    bulk_runs(stack.target).start({"run": RUN, "chunk_images": 1000})
    return RUN


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling.time, "sleep", lambda _seconds: None)


def test_the_newest_run_is_the_one_looked_at(stack: Stack, run: str) -> None:
    result = stack.bulk("status")
    assert result.exit_code == 0, result.output
    assert f"{run}-1 RUNNING" in result.stdout
    assert "starting" in result.stdout
    assert f"imagedrop bulk status {run} --wait" in result.stderr


def test_waiting_ends_well_only_with_a_complete_report(stack: Stack, run: str) -> None:
    stack.write_report(run)
    stack.end(f"{run}-1")
    result = stack.bulk("status", run, "--wait")
    assert result.exit_code == 0
    assert "COMPLETE: 3 listed: 2 classified, 1 rejected." in result.stderr
    assert f"s3://work/reports/{run}/report.json" in result.stderr
    assert f"imagedrop bulk report {run} --format html > report.html" in result.stderr


def test_waiting_for_an_incomplete_run_fails_and_says_what_to_do(stack: Stack, run: str) -> None:
    stack.write_report(run, status="INCOMPLETE", classified=1, failed=1, failures={"no_output": 2})
    stack.end(f"{run}-1")
    result = stack.bulk("status", run, "--wait")
    assert result.exit_code == 1
    assert "INCOMPLETE: 3 listed" in result.stderr
    assert "→" in result.stderr


def test_waiting_for_a_run_that_broke_off_fails(stack: Stack, run: str) -> None:
    stack.end(f"{run}-1")
    result = stack.bulk("status", run, "--wait")
    assert result.exit_code == 1
    assert f"imagedrop bulk resume {run}" in result.stderr


def test_waiting_goes_on_until_the_run_ends(
    stack: Stack, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = []

    def end_after_two(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            stack.write_report(run)
            stack.end(f"{run}-1")

    monkeypatch.setattr(polling.time, "sleep", end_after_two)
    assert stack.bulk("status", run, "--wait").exit_code == 0
    assert len(pauses) == 2
    assert min(pauses) >= POLL_SECONDS


def test_ctrl_c_stops_the_waiting_and_not_the_run(
    stack: Stack, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Iterator[Progress]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(bulk_wait, "follow_run", interrupted)
    result = stack.bulk("status", run, "--wait")
    assert result.exit_code == 130
    assert f"imagedrop bulk status {run} --wait" in " ".join(result.stderr.split())
    assert "RUNNING" in stack.bulk("status", run).stdout


def test_a_stopped_run_is_resumed_with_the_same_input(stack: Stack, run: str) -> None:
    assert stack.bulk("stop", run).exit_code == 0
    assert "ABORTED" in stack.bulk("status", run).stdout
    assert stack.bulk("resume", run).exit_code == 0
    started = stack.executions()
    assert set(started) == {f"{run}-1", f"{run}-2"}
    assert started[f"{run}-1"] == started[f"{run}-2"]
    assert f"{run}-2 RUNNING" in stack.bulk("status").stdout


def test_only_what_runs_is_stopped_and_only_what_does_not_is_resumed(
    stack: Stack, run: str
) -> None:
    assert isinstance(stack.bulk("resume", run).exception, UserError)
    stack.bulk("stop", run)
    assert isinstance(stack.bulk("stop", run).exception, UserError)


def test_a_run_with_a_report_is_not_resumed_since_nothing_would_happen(
    stack: Stack, run: str
) -> None:
    stack.end(f"{run}-1")
    stack.write_report(run, status="INCOMPLETE")
    result = stack.bulk("resume", run)
    assert isinstance(result.exception, UserError)
    assert "new run" in result.exception.next_step
    assert list(stack.executions()) == [f"{run}-1"]


def test_the_list_shows_each_run_once_with_its_counts(stack: Stack, run: str) -> None:
    stack.bulk("stop", run)
    stack.bulk("resume", run)
    bulk_runs(stack.target).start({"run": "cats-20261125t160000"})
    stack.end("cats-20261125t160000-1")
    stack.write_report("cats-20261125t160000")
    lines = [line.split(maxsplit=2) for line in stack.bulk("list").stdout.splitlines()[1:]]
    assert sorted(lines) == [
        ["cats-20261125t160000", "COMPLETE", "3 listed: 2 classified, 1 rejected"],
        [run, "RUNNING"],
    ]


def test_a_stack_without_runs(stack: Stack) -> None:
    assert "imagedrop bulk start" in stack.bulk("list").stderr
    assert isinstance(stack.bulk("status").exception, UserError)
    for command in ("status", "stop", "resume", "report"):
        result = stack.bulk(command, "unknown")
        assert isinstance(result.exception, UserError), command


def test_a_report_in_each_format(stack: Stack, run: str) -> None:
    ignored = {"ignored_reasons": {"system_folder": 1}, "ignored_names": "s3://work/ignored/"}
    stack.write_report(run, **ignored)
    table = stack.bulk("report", run).stdout
    assert "COMPLETE" in table
    assert "ignored: system_folder" in table
    assert "s3://work/ignored/" in table
    assert "rejected: truncated" in table
    assert json.loads(stack.bulk("report", run, "--format", "json").stdout)["listed"] == 3
    page = stack.bulk("report", run, "--format", "html").stdout
    assert page.startswith("<!doctype html>")
    assert "truncated" in page
    assert run in page


def test_the_page_escapes_the_names_of_strangers(stack: Stack, run: str) -> None:
    hostile = {"key": "folder/<script>alert(1)</script>.jpg", "reason": "not_an_image"}
    stack.write_report(run, examples={"rejected": [hostile], "failed": []})
    page = stack.bulk("report", run, "--format", "html").stdout
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_the_cost_follows_from_the_measured_quantities(stack: Stack, run: str) -> None:
    stack.write_report(run)
    report = json.loads(stack.bulk("report", run, "--format", "json").stdout)
    cost = report["estimated_cost_dollars"]
    # 3 s of 1,769 MB at $0.0000133334 a GB-second; 0.1 h of ml.m5.xlarge at $0.23.
    assert cost["functions"] == pytest.approx(3 * 1769 / 1024 * 0.0000133334, abs=1e-6)
    assert cost["transform"] == pytest.approx(0.023)
    # 3 prepared images: 4 writes each, and 3 rows looked up.
    assert cost["table"] == pytest.approx((12 * 0.625 + 3 * 0.125) / 1e6, abs=1e-6)
    assert cost["together"] == pytest.approx(
        sum(dollars for name, dollars in cost.items() if name != "together"), abs=4e-6
    )


def test_a_report_of_an_earlier_version_keeps_its_cost(stack: Stack, run: str) -> None:
    stack.write_report(run, estimated_cost_dollars={"together": 0.01})
    report = json.loads(stack.bulk("report", run, "--format", "json").stdout)
    assert report["estimated_cost_dollars"] == {"together": 0.01}


def test_failed_and_rejected_images_are_named_from_the_ledger(stack: Stack, run: str) -> None:
    stack.write_ledger(
        run,
        "000000",
        {"key": "a", "fate": "classified"},
        {"key": "b\x1b[2J", "fate": "rejected"},
        {"key": "c", "fate": "resubmitted"},
    )
    stack.write_ledger(run, "1-000000", {"key": "c", "fate": "failed"})

    def named(*options: str) -> list[str]:
        lines = stack.bulk("report", run, *options).stdout.splitlines()
        return [json.loads(line)["key"] for line in lines]

    assert named("--failed") == ["c"]
    assert named("--rejected") == ["b\x1b[2J"]
    assert named("--failed", "--rejected") == ["b\x1b[2J", "c"]
    assert "\x1b" not in stack.bulk("report", run, "--rejected").stdout


def test_names_from_strangers_do_not_reach_the_terminal_as_commands(stack: Stack, run: str) -> None:
    stack.write_report(run, labels={"\x1b[2Jpug": 1}, rejections={"\x07": 1})
    output = stack.bulk("report", run).output
    assert "\x1b[2J" not in output
    assert "\x07" not in output
