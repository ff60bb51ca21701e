"""Waiting for a job: its log, Ctrl-C, a lost connection, the end."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from botocore.exceptions import ClientError, EndpointConnectionError

from imagedrop.errors import UserError
from imagedrop.jobs import logs as job_logs
from imagedrop.jobs import progress
from imagedrop.jobs.logs import GROUP, JobLogs


class FakeLogs:
    """CloudWatch Logs with one stream that grows, two places a call; None is a place without one.

    Pages in the middle of a stream may be empty: "you can get empty results while there are more
    log events available" (API reference, GetLogEvents).
    """

    def __init__(self) -> None:
        self.events: list[str | None] | None = None

    def describe_log_streams(self, **request: Any) -> Any:
        assert request == {"logGroupName": GROUP, "logStreamNamePrefix": "dogs-1/"}
        if self.events is None:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "Describe")
        return {"logStreams": [{"logStreamName": "dogs-1/algo-1"}]}

    def get_log_events(self, **request: Any) -> Any:
        assert self.events is not None
        start = int(request.get("nextToken", "0"))
        page = self.events[start : start + 2]
        return {
            "events": [{"message": each} for each in page if each is not None],
            "nextForwardToken": str(start + len(page)),
        }


def test_lines_come_once_and_from_the_first() -> None:
    service = FakeLogs()
    logs = JobLogs(service, "dogs-1")
    assert list(logs.new_lines()) == []
    service.events = ["one", "two", "three"]
    assert list(logs.new_lines()) == ["one", "two", "three"]
    service.events += ["four"]
    assert list(logs.new_lines()) == ["four"]
    assert list(logs.new_lines()) == []


def test_an_empty_page_is_not_the_end_of_the_lines() -> None:
    service = FakeLogs()
    service.events = ["one", "two", None, None, "three"]
    assert list(JobLogs(service, "dogs-1").new_lines()) == ["one", "two", "three"]


class FakeSageMaker:
    """One training job that takes one status a look, and keeps the last."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.stopped: list[str] = []

    def describe_training_job(self, **_: Any) -> Any:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {
            "TrainingJobStatus": status,
            "SecondaryStatus": status,
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge"},
            "ModelArtifacts": {"S3ModelArtifacts": "s3://models/m.tar.gz"},
            "BillableTimeInSeconds": 60,
        }

    def describe_hyper_parameter_tuning_job(self, **_: Any) -> Any:
        raise AssertionError("there is a training job of this name")

    def stop_training_job(self, **request: Any) -> None:
        self.stopped.append(request["TrainingJobName"])


class FakeTarget:
    def __init__(self, sagemaker: FakeSageMaker, logs: FakeLogs) -> None:
        self._clients = {"sagemaker": sagemaker, "logs": logs}

    def client(self, service: str) -> Any:
        return self._clients[service]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_logs.time, "sleep", lambda _seconds: None)


def wait_for(sagemaker: FakeSageMaker, tmp_path: Path, logs: FakeLogs | None = None) -> None:
    target: Any = FakeTarget(sagemaker, logs or FakeLogs())
    progress.wait_for(target, "dogs-1", tmp_path)


def test_waiting_ends_with_the_job_and_says_what_it_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_for(FakeSageMaker("InProgress", "InProgress", "Completed"), tmp_path)
    said = capsys.readouterr().err
    assert "s3://models/m.tar.gz" in said
    assert "60 s of ml.m5.xlarge billed: $0.0038." in said


def test_each_change_and_each_line_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = FakeLogs()
    coming = iter([["epoch 1"], ["epoch 2"], [], ["last line"]])

    def more(_seconds: float) -> None:
        logs.events = (logs.events or []) + list(next(coming))

    monkeypatch.setattr(job_logs.time, "sleep", more)
    wait_for(FakeSageMaker("InProgress", "InProgress", "InProgress", "Completed"), tmp_path, logs)
    said = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in said[:5]] == [
        "· InProgress: InProgress",
        "epoch 1",
        "epoch 2",
        "· Completed: Completed",
        "last line",  # CloudWatch Logs had it only after SageMaker said that the job had ended
    ]


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_job_that_did_not_complete_ends_the_command_with_1_and_has_no_model(
    status: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        wait_for(FakeSageMaker(status), tmp_path)
    assert ended.value.exit_code == 1
    assert "m.tar.gz" not in capsys.readouterr().err


def test_lost_connection_ends_the_waiting_and_says_that_the_job_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_seconds: float) -> None:
        raise EndpointConnectionError(endpoint_url="https://api.sagemaker.eu-west-1.amazonaws.com")

    monkeypatch.setattr(job_logs.time, "sleep", lost)
    with pytest.raises(UserError, match="dogs-1 cannot be watched now, but keeps running") as told:
        wait_for(FakeSageMaker("InProgress"), tmp_path)
    assert "imagedrop jobs status dogs-1 --wait" in told.value.next_step


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A terminal as standard input, and the text typed there."""
    keyboard, screen = pty.openpty()

    def type_in(text: str) -> None:
        os.write(keyboard, text.encode())

    with os.fdopen(screen, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield type_in
    os.close(keyboard)


@pytest.mark.parametrize(
    ("answer", "stopped"), [("y\n", ["dogs-1"]), ("n\n", []), ("\n", []), ("\x04", [])]
)
def test_ctrl_c_asks_whether_the_job_is_to_stop(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    type_in: Callable[[str], None],
    answer: str,
    stopped: list[str],
) -> None:
    sagemaker = FakeSageMaker("InProgress")
    monkeypatch.setattr(job_logs.time, "sleep", _interrupt)
    type_in(answer)
    with pytest.raises(typer.Exit) as ended:
        wait_for(sagemaker, tmp_path)
    assert (ended.value.exit_code, sagemaker.stopped) == (130, stopped)


def test_ctrl_c_where_nobody_can_answer_leaves_the_job_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: Any, **__: Any) -> bool:
        raise AssertionError("an open pipe never answers")

    sagemaker = FakeSageMaker("InProgress")
    monkeypatch.setattr(job_logs.time, "sleep", _interrupt)
    monkeypatch.setattr(progress.typer, "confirm", never)
    with pytest.raises(typer.Exit):
        wait_for(sagemaker, tmp_path)
    assert sagemaker.stopped == []
    assert "imagedrop jobs stop dogs-1" in capsys.readouterr().err


def _interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt
