"""Runs and models over the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bulk.listed_runs import MOST_PAGES, ListedRuns
from bulk.progress import Phase, Progress
from handlers import api_runs, api_wiring
from tests.unit.handlers.api_calls import call

STARTED = datetime(2026, 11, 24, 6, tzinfo=UTC)
REPORT = {"run": "dogs-1", "status": "COMPLETE", "model": "dogs@1", "listed": 7}


class Executions:
    def list_executions(self, **request: Any) -> dict[str, Any]:
        assert request["stateMachineArn"] == "machine"
        names = {"cats-2-1": "RUNNING", "dogs-1-2": "SUCCEEDED", "dogs-1-1": "FAILED", "odd": "X"}
        return {
            "executions": [
                {"name": name, "status": status, "startDate": STARTED}
                for name, status in names.items()
            ]
        }


class Work:
    def read_json(self, key: str) -> Any:
        return REPORT if key == "reports/dogs-1/report.json" else None


@pytest.fixture(autouse=True)
def _runs(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress(phase=Phase.PREPARING, listed=10, prepared=3, at_least=True)

    def progress_of(_run: str, most_pages: int) -> Progress:
        assert most_pages == MOST_PAGES
        return progress

    runs = ListedRuns(Executions(), "machine", Work(), progress_of)  # type: ignore[arg-type]
    monkeypatch.setattr(api_wiring, "listed_runs", lambda: runs)


def test_each_run_is_listed_once_by_its_last_attempt_and_a_running_one_with_its_progress() -> None:
    status, body, _ = call("GET", "/runs")
    assert status == 200
    running, ended = body["runs"]
    assert (running["name"], running["status"]) == ("cats-2", "RUNNING")
    assert (running["progress"]["phase"], running["progress"]["listed"]) == ("preparing", 10)
    assert running["progress"]["at_least"] is True
    started_at = "2026-11-24T06:00:00.000Z"
    assert ended == {"name": "dogs-1", "status": "SUCCEEDED", "started_at": started_at}


def test_a_run_has_its_report_or_its_progress() -> None:
    assert call("GET", "/runs/dogs-1")[1]["report"] == REPORT
    progress = call("GET", "/runs/cats-2")[1]["progress"]
    assert (progress["prepared"], progress["at_least"]) == (3, True)
    assert call("GET", "/runs/mice-3")[0] == 404


def test_models_are_those_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def listed(_sagemaker: object, _s3: object, endpoint: str, default: str) -> list[Any]:
        asked.append((endpoint, default))
        return [{"model": "dogs@1", "answers": True}]

    monkeypatch.setattr(api_runs, "listed_models", listed)
    monkeypatch.setattr(api_runs, "client", lambda service: service)
    monkeypatch.setenv("ENDPOINT_NAME", "dogs")
    monkeypatch.setenv("DEFAULT_MODEL_DATA_URL", "s3://models/default/model.tar.gz")
    assert call("GET", "/models")[1] == {"models": [{"model": "dogs@1", "answers": True}]}
    assert asked == [("dogs", "s3://models/default/model.tar.gz")]
