"""`imagedrop drift` reads the counters of a stack and prints the differences."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from archive.card import ModelCard
from changes.drift import days_until
from imagedrop.cli import app
from imagedrop.commands import drift as command
from imagedrop.errors import UserError
from imagedrop.target import Target
from tests.model_archives import card as card_json

Days = dict[str, Counter[str]]


def answered(label: str, images: int, model: str = "dogs@1") -> Counter[str]:
    names = (f"labels:{label}", "confidence:9", f"models:{model}", "statuses:CLASSIFIED")
    return Counter(dict.fromkeys(names, images))


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Days:
    found: Days = {}

    class Stack(Target):
        def client(self, service: str) -> Any:
            return service

        def served_model(self) -> Any:
            return SimpleNamespace(card=card)

    card = ModelCard.from_json(
        card_json(metrics={"baseline": {"labels:pug": 90, "labels:cat": 90}})
    )
    outputs = {"JournalTableName": "journal", "EndpointName": "endpoint"}
    stack = Stack(None, outputs)  # type: ignore[arg-type]
    journal = SimpleNamespace(
        drops=lambda since: {day: counts for day, counts in found.items() if day >= since}
    )
    monkeypatch.setattr(command, "find_target", lambda _name: stack)
    monkeypatch.setattr(command, "JournalTable", lambda *_: journal)
    return found


def some_days(days: Days) -> str:
    """Puts ten days into the counters; returns yesterday's name."""
    *former, yesterday, _ = days_until(datetime.now(UTC), 10)
    for day in former:
        days[day] = answered("pug", 50) + answered("beagle", 50)
    days[yesterday] = answered("pug", 300)
    return yesterday


def test_the_command_tells_the_day_and_the_label(days: Days) -> None:
    yesterday = some_days(days)
    told = CliRunner().invoke(app, ["drift", "--days", "2", "--format", "jsonl"])
    assert told.exit_code == 0, told.exception
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    found = {(row["day"], row["what"]): row for row in rows}
    labels = found[yesterday, "labels"]
    assert (labels["drifts"], labels["moved"], labels["was"], labels["now"]) == (
        *(True, "beagle", 0.5, 0.0),
    )
    assert found[yesterday, "rejections"]["drifts"] is False
    assert found[f"{datetime.now(UTC):%Y-%m-%d}", "labels"]["drifts"] is None
    assert "Baseline: 800 images" in told.stderr
    assert f"{yesterday} differs" in told.stderr
    assert {row["against"] for row in rows} == {"days before", "dogs@7"}
    table = CliRunner().invoke(app, ["drift", "--days", "2"])
    assert "too few, 30 needed" in table.stdout


def test_a_new_model_is_said_and_has_no_baseline_yet(days: Days) -> None:
    days[some_days(days)] = answered("pug", 300, "dogs@2")
    told = CliRunner().invoke(app, ["drift", "--days", "2"])
    assert told.exit_code == 0, told.exception
    assert "Another model answers now" in told.stderr


def test_a_baseline_that_begins_too_late_is_refused(days: Days) -> None:
    told = CliRunner().invoke(app, ["drift", "--baseline", "today"])
    assert isinstance(told.exception, UserError)


def test_a_stack_of_before_is_told_to_deploy(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Target(None, {"EndpointName": "endpoint"})  # type: ignore[arg-type]
    monkeypatch.setattr(command, "find_target", lambda _name: old)
    told = CliRunner().invoke(app, ["drift"])
    assert isinstance(told.exception, UserError)
