"""The daily comparison: the alarm's metric, and what the log says."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from changes.drift import days_until
from handlers import drift as function
from handlers import measuring, wiring
from tests.template_resources import resources
from tests.unit.changes.test_drift import TODAY, crowd, seeded
from tests.unit.handlers.test_classify import Context

YESTERDAY, FORMER = "2026-11-28", days_until(TODAY, 22)[:20]


def alarm_sees(monkeypatch: pytest.MonkeyPatch, capsys: Any, day: Counter[str]) -> float:
    """Runs the function after such a day; returns the value that the template's alarm reads."""
    counted = {each: crowd(seeded(at), 50) for at, each in enumerate(FORMER)}
    asked: list[str] = []

    class Journal:
        def drops(self, since: str) -> dict[str, Counter[str]]:
            asked.append(since)
            return counted | {YESTERDAY: day, "2026-11-29": crowd(seeded(9), 500, brighter=5)}

    class Clock:
        now = staticmethod(lambda _zone: TODAY)

    monkeypatch.setattr(wiring, "journal_table", Journal)
    monkeypatch.setattr(function, "datetime", Clock)
    alarm = resources()["DriftAlarm"]["Properties"]
    monkeypatch.setattr(measuring.metrics.provider, "namespace", "stack")
    monkeypatch.setattr(measuring.metrics.provider, "service", alarm["Dimensions"][0]["Value"])
    function.handler({}, Context())  # type: ignore[arg-type]
    assert asked == ["2026-10-31"]
    lines = capsys.readouterr().out.splitlines()
    (written,) = [json.loads(each) for each in lines if '"_aws"' in each]
    assert written[alarm["Dimensions"][0]["Name"]] == alarm["Dimensions"][0]["Value"]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    return float(written[alarm["MetricName"]][0]) - float(alarm["Threshold"])


def test_the_alarm_fires_on_a_day_of_bright_photos_and_the_log_names_them(
    monkeypatch: Any, capsys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert alarm_sees(monkeypatch, capsys, crowd(seeded(3), 300, brighter=3)) > 0
    told = [vars(each) for each in caplog.records if each.message == "drift"]
    assert [(each["day"], each["what"]) for each in told] == [(YESTERDAY, "brightness")]


def test_the_alarm_fires_on_other_labels(monkeypatch: Any, capsys: Any) -> None:
    day = crowd(seeded(3), 300)
    day["labels:breed_9"] += 200
    assert alarm_sees(monkeypatch, capsys, day) > 0


@pytest.mark.parametrize("images", [0, 29, 30, 300])
def test_the_alarm_stays_silent_without_drift(images: int, monkeypatch: Any, capsys: Any) -> None:
    assert alarm_sees(monkeypatch, capsys, crowd(seeded(images), images)) == 0


def test_the_alarm_stays_silent_for_few_images_whatever_they_show(
    monkeypatch: Any, capsys: Any
) -> None:
    few = crowd(seeded(1), 29, brighter=9, sure=(1, 9), rejected=0)
    assert alarm_sees(monkeypatch, capsys, few) == 0
