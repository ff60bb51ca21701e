"""`imagedrop drift` finds real changes, and does not take chance for one."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.commands import drift as command
from imagedrop.drift import Sample, chi_square_quantile, compare, threshold
from imagedrop.errors import UserError
from imagedrop.target import Target
from pipeline import records
from pipeline.events import utc_text
from pipeline.queries import Page, Query
from pipeline.records import Record
from tests.tables import classified, image_ref

LABELS = [f"breed_{number}" for number in range(30)]
COMMON_FIRST = [1 / (place + 1) for place in range(30)]
BASELINE_IMAGES, DAYS = 1_000, 300


def seeded(seed: int) -> Random:
    """The same images in every run."""
    return Random(seed)  # noqa: S311 - it keeps no secret


def sample(
    choose: Random, images: int, sure: tuple[float, float] = (5, 1.2), rejected: float = 0.02
) -> Sample:
    """Images of one population, as a model answers them: mostly sure, a few rejected."""
    found = Sample()
    for _ in range(images):
        if choose.random() < rejected:
            found.statuses["REJECTED"] += 1
            continue
        found.statuses["CLASSIFIED"] += 1
        found.confidences.append(round(choose.betavariate(*sure), 6))
    found.labels = Counter(choose.choices(LABELS, COMMON_FIRST, k=len(found.confidences)))
    return found


def alarms(choose: Random, images: int, days: int = DAYS, **changes: Any) -> float:
    """The share of days with any finding, each with a baseline of its own."""
    days_with_one = 0
    for _ in range(days):
        baseline = sample(choose, BASELINE_IMAGES)
        found = compare(sample(choose, images, **changes), baseline)
        days_with_one += any(each.drifts for each in found)
    return days_with_one / days


@pytest.mark.parametrize("images", [32, 100, 300])  # of 32, about 30 have an answer
def test_days_without_drift_raise_an_alarm_in_fewer_than_one_of_twenty(images: int) -> None:
    assert alarms(seeded(images), images) <= 0.05


@pytest.mark.parametrize(
    ("what", "changes"),
    [("confidence", {"sure": (4, 1.6)}), ("rejections", {"rejected": 0.15})],
)
def test_a_changed_day_of_300_images_is_found(what: str, changes: dict[str, Any]) -> None:
    assert alarms(seeded(1), 300, days=60, **changes) >= 0.95


def test_a_label_that_comes_more_often_is_named() -> None:
    baseline, day = sample(seeded(1), 1_000), sample(seeded(2), 300)
    day.labels = baseline.labels - Counter()
    day.labels["breed_1"] += 400
    labels, *_ = compare(day, baseline)
    assert labels.drifts
    assert labels.moved is not None
    assert labels.moved[0] == "breed_1"


def test_a_label_that_the_baseline_lacks_counts_as_another() -> None:
    baseline, day = sample(seeded(1), 1_000), sample(seeded(2), 300)
    day.labels = Counter({"new": 150, "breed_0": 150})
    labels, *_ = compare(day, baseline)
    assert labels.drifts


def test_too_few_images_are_no_evidence() -> None:
    baseline = sample(seeded(1), 1_000)
    assert [each.psi for each in compare(sample(seeded(2), 29), baseline)] == [None] * 3
    assert [each.psi for each in compare(baseline, sample(seeded(2), 99))] == [None] * 3
    assert [each.psi for each in compare(Sample(), Sample())] == [None] * 3


def test_equal_confidences_are_one_bin() -> None:
    certain = Sample(confidences=[1.0] * 200, statuses=Counter(CLASSIFIED=200))
    assert [each.psi for each in compare(certain, certain)][1:] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("degrees", "probability", "exact"), [(1, 0.999, 10.828), (9, 0.999, 27.877), (5, 0.95, 11.070)]
)
def test_the_quantile_is_that_of_the_tables(degrees: int, probability: float, exact: float) -> None:
    assert chi_square_quantile(degrees, probability) == pytest.approx(exact, rel=0.04)


def test_the_threshold_falls_with_more_images_to_the_smallest_that_matters() -> None:
    found = [threshold(10, images, 1_000) for images in (30, 300, 3_000, 300_000)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.9
    assert found[-1] == 0.1


@dataclass(frozen=True, slots=True)
class Rows:
    """A table that answers with the rows of the asked period."""

    rows: list[Record]

    def list(self, query: Query, *, limit: int, cursor: str | None = None) -> Any:
        assert query.since is not None
        assert query.until is not None
        found = [each for each in self.rows if query.since <= each.classified_at < query.until]
        return Page(found, None)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    found: list[Record] = []

    class Stack(Target):
        def predictions_table(self) -> Any:
            return Rows(found)

    monkeypatch.setattr(command, "find_target", lambda _name: Stack(None, {}))  # type: ignore[arg-type]
    return found


def add(rows: list[Record], days_ago: int, images: int, label: str, model: str = "dogs@1") -> None:
    at = utc_text(datetime.now(UTC) - timedelta(days=days_ago))
    ref = image_ref()
    one = replace(classified(ref, label, 0.9), classified_at=at, model=model)
    rows += [one] * images
    rows.append(records.deleted(ref, at))


def test_the_command_tells_the_day_the_label_and_the_change_of_model(rows: list[Record]) -> None:
    for days_ago in range(2, 9):
        add(rows, days_ago, 50, "pug")
        add(rows, days_ago, 50, "beagle")
    add(rows, 1, 300, "pug", model="dogs@2")
    told = CliRunner().invoke(app, ["drift", "--days", "2", "--format", "jsonl"])
    assert told.exit_code == 0, told.exception
    found = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(row["what"], row["drifts"]) for row in found] == [
        *(("labels", True), ("confidence", False), ("rejections", False)),
        *(("labels", None), ("confidence", None), ("rejections", None)),
    ]
    assert (found[0]["moved"], found[0]["was"], found[0]["is"]) == ("beagle", 0.5, 0.0)
    assert "Baseline: 700 images" in told.stderr
    assert "dogs@2" in told.stderr
    table = CliRunner().invoke(app, ["drift", "--days", "2"])
    assert "too few, 30 needed" in table.stdout


def test_a_baseline_that_begins_too_late_is_refused(rows: list[Record]) -> None:
    told = CliRunner().invoke(app, ["drift", "--baseline", "today"])
    assert isinstance(told.exception, UserError)
