"""The simulation of a drop, checked by hand where possible; no image is lost in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagedrop.estimates.month import drop_cost, usage_cost
from imagedrop.growth.drop import SETTLED_SECONDS, simulate
from imagedrop.growth.figures import known
from imagedrop.growth.limits import INSTANCE, Load, Stack, batch_seconds, limits

FIGURES = known()
# The instances answer one image in 100 seconds.
DEAD = replace(FIGURES, served_images_per_second_per_vcpu=0.0025)


def test_a_batch_takes_what_its_parts_take() -> None:
    # Read 2.1, prepare 5, encode 1.8 ms; 2.5 for a row; 1000 / 137 + 1.2 for an answer; 15 a call.
    by_hand = 0.015 + 10 * (0.0021 + 0.005 + 0.0018 + 0.0025 + 1 / 137 + 0.0012)
    assert batch_seconds(Stack(), FIGURES) == pytest.approx(by_hand)


def test_an_image_alone_waits_for_its_event_and_its_own_work() -> None:
    # One in ten minutes: the first five meet an environment and an endpoint that must start.
    found = simulate(Load(images=100, images_per_second=1 / 600), Stack(), FIGURES)
    own = 0.015 + 0.0021 + 0.005 + 0.0018 + 0.0025 + 1 / 137 + 0.0012
    assert found.percentile(50) == pytest.approx(FIGURES.event_seconds + own)
    assert found.percentile(100) == pytest.approx(FIGURES.event_seconds + own + 1 + 10)


def test_a_long_queue_is_worked_off_at_the_rate_of_full_batches() -> None:
    found = simulate(Load(images=1_000_000), Stack(classify_concurrency=5), FIGURES)
    assert found.seconds == pytest.approx(1e5 / 5 * batch_seconds(Stack(), FIGURES), rel=0.01)
    assert found.usage.batches == pytest.approx(1e5, rel=0.001)
    # Full batches cost what `imagedrop cost` says, and the time of 100,000 calls.
    calls = 1e5 * 0.015 * 1769 / 1024 * 0.0000133334
    expected = sum(drop_cost(1_000_000).values()) + calls
    assert sum(usage_cost(found.usage).values()) == pytest.approx(expected, rel=0.01)


def test_more_environments_come_by_lambdas_ramp() -> None:
    few, many = (
        simulate(Load(images=100_000), Stack(classify_concurrency=count), FIGURES).percentile(1)
        for count in (5, 200)
    )
    # Five are there at once, whatever the limit is.
    assert few == pytest.approx(many, rel=0.25)
    slow = replace(FIGURES, batches_added_per_minute=1.0)
    ramped = simulate(Load(images=100_000), Stack(classify_concurrency=200), slow)
    assert (
        ramped.seconds
        > 300
        > simulate(Load(images=100_000), Stack(classify_concurrency=200), FIGURES).seconds
    )


def test_an_index_takes_four_thousand_rows_a_second() -> None:
    load, stack = Load(images=1_000_000, images_per_second=10_000), Stack(classify_concurrency=200)
    assert simulate(load, stack, FIGURES).seconds == pytest.approx(1e6 / 4_000, rel=0.1)
    assert limits(load, stack, FIGURES)[0].resource == "writes to an index"


def test_instances_are_added_after_minutes_of_many_calls_and_paid_for() -> None:
    stack = Stack(classify_concurrency=40, endpoint_capacity=INSTANCE)
    found = simulate(Load(images=2_000_000), stack, FIGURES)
    one = replace(stack, max_instances=1)
    alone = simulate(Load(images=2_000_000), one, FIGURES)
    assert alone.seconds == pytest.approx(2e6 / (137 * 4), rel=0.02)
    assert alone.usage.instance_seconds == pytest.approx(alone.seconds)
    # Three minutes until the alarm and four until the instances are there, then four times as fast.
    by_hand = 420 + (2e6 - 420 * 548) / (4 * 548)
    assert found.seconds == pytest.approx(by_hand, rel=0.1)
    assert found.usage.instance_seconds > found.seconds


def test_images_that_no_endpoint_answers_end_as_dead_letters_after_their_tries() -> None:
    stack = Stack(classify_concurrency=5, endpoint_capacity=INSTANCE, max_instances=1)
    found = simulate(Load(images=30), stack, DEAD)
    assert found.dead_letters > 0
    assert found.rows + found.dead_letters == 30
    # Ten tries take more than an hour.
    assert found.seconds > 4_000


def test_a_queue_longer_than_four_days_loses_images_and_says_so() -> None:
    found = simulate(Load(images=100_000_000), Stack(classify_concurrency=5), FIGURES)
    # Until four days after its drop each image can be taken: 233.6 a second; dropped in 7.9 h.
    by_hand = 100e6 - (345_600 + 100e6 / 3_500) / (batch_seconds(Stack(), FIGURES) / 50)
    assert found.expired == pytest.approx(by_hand, rel=0.02)
    assert found.rows + found.expired == 100_000_000


@settings(max_examples=25, deadline=None)
@given(
    images=st.integers(1, 3_000),
    rate=st.sampled_from([None, 0.5, 20.0, 5_000.0]),
    concurrency=st.sampled_from([2, 5, 40]),
    capacity=st.sampled_from(["2048", INSTANCE]),
    vcpu_rate=st.sampled_from([137.0, 0.02]),
)
def test_nothing_is_lost(
    images: int, rate: float | None, concurrency: int, capacity: str, vcpu_rate: float
) -> None:
    figures = replace(FIGURES, served_images_per_second_per_vcpu=vcpu_rate)
    stack = Stack(classify_concurrency=concurrency, endpoint_capacity=capacity)
    found = simulate(Load(images=images, images_per_second=rate), stack, figures)
    assert found.rows + found.dead_letters == images
    assert sum(count for _, count in found.waits) == pytest.approx(found.rows)


def test_a_load_that_lasts_is_continued_from_its_settled_half() -> None:
    stack = Stack(classify_concurrency=20)
    whole, longer = (
        simulate(Load(images=round(100 * seconds), images_per_second=100), stack, FIGURES)
        for seconds in (SETTLED_SECONDS, 4 * SETTLED_SECONDS)
    )
    assert longer.rows == 4 * whole.rows
    assert longer.seconds == pytest.approx(4 * whole.seconds, rel=0.01)
    assert longer.usage.batches == pytest.approx(4 * whole.usage.batches, rel=0.1)
    assert longer.percentile(50) == pytest.approx(whole.percentile(50))


def test_a_batch_of_one_does_not_wait_for_the_rows_of_a_full_batch_that_is_still_at_work() -> None:
    # Five environments take one image each, then what has come meanwhile: shorter and longer
    # batches, far below what the table takes, so that none waits and their times are only theirs.
    load = Load(images=50, images_per_second=200)
    found = simulate(load, Stack(), replace(FIGURES, serverless_start_seconds=0.0))
    own = 0.0021 + 0.005 + 0.0018 + 0.0025 + 1 / 137 + 0.0012
    expected = found.usage.batches * 0.015 + 50 * own
    assert found.usage.function_seconds == pytest.approx(expected, rel=1e-6)
