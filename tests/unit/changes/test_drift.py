"""Drift is found where images changed, and chance is not taken for it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import accumulate
from random import Random
from typing import Any

import pytest

from archive.card import ModelCard
from archive.crowd import counted_names
from changes.drift import (
    BEFORE,
    Comparison,
    chi_square_quantile,
    compare,
    days_until,
    drift,
    first_counted,
    threshold,
)
from imaging.appearance import EDGES
from tests.cases import cases
from tests.model_archives import card as card_json

LABELS = [f"breed_{number}" for number in range(30)]
COMMON_FIRST = [*accumulate(1 / (place + 1) for place in range(30))]
BASELINE_IMAGES, DAYS = 1_000, 100
SIZES = [(500, 375), (375, 500), (640, 480), (4000, 3000), (300, 300)]
TODAY = datetime(2026, 11, 29, 15, tzinfo=UTC)


def seeded(seed: int) -> Random:
    """The same images in every run."""
    return Random(seed)  # noqa: S311 - it keeps no secret


def crowd(
    choose: Random,
    images: int,
    *,
    sure: tuple[float, float] = (5, 1.2),
    rejected: float = 0.02,
    brighter: int = 0,
    model: str = "dogs@1",
) -> Counter[str]:
    """Counts of images of one population: mostly sure, a few rejected."""
    found: Counter[str] = Counter()
    for _ in range(images):
        if choose.random() < rejected:
            found["statuses:REJECTED"] += 1
            continue
        found["statuses:CLASSIFIED"] += 1
        found[f"models:{model}"] += 1
        label = choose.choices(LABELS, cum_weights=COMMON_FIRST)[0]
        tenths = [choose.randrange(10) for _ in EDGES]
        tenths[0] = min(9, tenths[0] + brighter)
        appearance = "".join(map(str, tenths))
        found.update(
            counted_names(label, choose.betavariate(*sure), choose.choice(SIZES), appearance)
        )
    return found


def found_in(day: Counter[str], baseline: Counter[str]) -> dict[str, Comparison]:
    return {each.what: each for each in compare(day, baseline, baseline)}


def alarms(choose: Random, images: int, days: int = DAYS, **changes: Any) -> float:
    """The share of days with any finding, each with a baseline of its own."""
    days_with_one = 0
    for _ in range(days):
        baseline = crowd(choose, BASELINE_IMAGES)
        found = found_in(crowd(choose, images, **changes), baseline)
        days_with_one += any(each.drifts for each in found.values())
    return days_with_one / days


@pytest.mark.parametrize("images", [32, 100, 300])  # of 32, about 30 have an answer
def test_days_without_drift_raise_an_alarm_in_fewer_than_one_of_twenty(images: int) -> None:
    assert alarms(seeded(images), images, cases(DAYS)) <= 0.05


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("confidence", {"sure": (4, 1.6)}),
        ("rejections", {"rejected": 0.15}),
        ("brightness", {"brighter": 2}),
    ],
)
def test_a_changed_day_of_300_images_is_found(what: str, changes: dict[str, Any]) -> None:
    choose = seeded(1)
    days = [found_in(crowd(choose, 300, **changes), crowd(choose, 1_000)) for _ in range(cases(40))]
    assert sum(bool(each[what].drifts) for each in days) >= 0.95 * len(days)


def test_a_label_that_comes_more_often_is_named() -> None:
    day = crowd(seeded(2), 300)
    day["labels:breed_1"] += 400
    found = found_in(day, crowd(seeded(1), 1_000))["labels"]
    assert (found.drifts, found.moved) == (True, "breed_1")


def test_a_label_that_the_baseline_lacks_counts_as_another() -> None:
    day = Counter({"labels:new": 150, "labels:breed_0": 150})
    assert found_in(day, crowd(seeded(1), 1_000))["labels"].drifts


def test_too_few_images_are_no_evidence() -> None:
    baseline, few = crowd(seeded(1), 1_000), crowd(seeded(2), 29)
    dark = Counter({name: count for name, count in few.items() if "brightness" not in name})
    dark["brightness:0"] = 29
    for day, before in ((dark, baseline), (baseline, crowd(seeded(2), 99)), (few, Counter())):
        assert {each.drifts for each in found_in(day, before).values()} == {None}


def test_a_property_that_never_differs_says_nothing() -> None:
    certain = Counter({"confidence:9": 200, "labels:pug": 200})
    found = found_in(certain, certain)
    assert (found["confidence"].psi, found["confidence"].drifts) == (None, None)
    assert found["labels"].psi == 0.0


def test_confidences_are_merged_where_few_are_expected() -> None:
    baseline = Counter({"confidence:9": 950, "confidence:8": 45, "confidence:0": 5})
    day = Counter({"confidence:9": 50, "confidence:0": 50})
    found = found_in(day, baseline)["confidence"]
    assert (found.drifts, found.moved, found.was, found.now) == (True, "below 0.9", 0.05, 0.5)


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


def test_days_are_compared_with_the_four_weeks_before_the_first() -> None:
    judged = days_until(TODAY, 2)
    assert judged == ["2026-11-28", "2026-11-29"]
    assert first_counted(judged) == "2026-10-31"
    counted = {"2026-11-20": crowd(seeded(1), 300), "2026-11-28": crowd(seeded(2), 40)}
    rows = list(drift(counted, judged))
    assert {row["baseline"] for row in rows if row["what"] == "rejections"} == {300}
    assert [row["images"] for row in rows if row["what"] == "rejections"] == [40, 0]


def test_another_model_has_no_baseline_for_what_it_answers_but_the_photos_have() -> None:
    counted = {
        "2026-11-20": crowd(seeded(1), 300),
        "2026-11-29": crowd(seeded(2), 300, sure=(2, 3), brighter=3, model="dogs@2"),
    }
    rows = {row["what"]: row for row in drift(counted, ["2026-11-29"])}
    assert (rows["labels"]["drifts"], rows["confidence"]["drifts"]) == (None, None)
    assert rows["brightness"]["drifts"]


def test_all_days_together_are_compared_with_the_models_own_photos() -> None:
    own = crowd(seeded(1), 300, rejected=0)
    card = with_baseline(dict(own))
    counted = {day: crowd(seeded(3), 100, brighter=4) for day in ("2026-11-28", "2026-11-29")}
    rows = [row for row in drift(counted, sorted(counted), card) if row["against"] != BEFORE]
    found = {row["what"]: row for row in rows}
    assert {row["against"] for row in rows} == {card.identity}
    assert {row["day"] for row in rows} == {"2026-11-28 to 2026-11-29"}
    assert (found["brightness"]["drifts"], found["aspect"]["drifts"]) == (True, False)


@pytest.mark.parametrize("counts", [None, [], {"labels:pug": -1}, {"pug": 3}, {"labels:pug": "3"}])
def test_a_card_without_readable_counts_is_left_out(counts: Any) -> None:
    rows = drift({"2026-11-29": crowd(seeded(1), 300)}, ["2026-11-29"], with_baseline(counts))
    assert {row["against"] for row in rows} == {BEFORE}


def with_baseline(counts: Any) -> ModelCard:
    return ModelCard.from_json(card_json(metrics={"baseline": counts}))


class Watched(Counter[str]):
    """Counters that know how often they were added up."""

    def __init__(self, *counts: Counter[str]) -> None:
        self.looks = 0
        super().__init__(*counts)

    def items(self) -> Any:
        self.looks += 1
        return super().items()


@pytest.mark.parametrize("days", [1, 50])
def test_the_days_before_are_added_up_once_however_many_days_are_judged(days: int) -> None:
    judged = days_until(TODAY, days)
    one = crowd(seeded(1), 200)
    before = Watched(one)
    found = list(drift({"2026-01-01": before, **dict.fromkeys(judged, one)}, judged))
    assert len(found) == days * len({each["what"] for each in found})
    assert not any(each["drifts"] for each in found)
    assert before.looks <= 3  # for all models, for its own, and when it was made
