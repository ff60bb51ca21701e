"""`imagedrop plan`: three scenarios by hand, and what holds for all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.commands.plan import deadline_seconds
from imagedrop.errors import UserError
from imagedrop.estimates.bulk_run import RunSettings, duration
from imagedrop.estimates.prices import ENDPOINT_INSTANCE_HOURS
from imagedrop.growth.figures import known
from imagedrop.growth.limits import INSTANCE, SERVERLESS, Load, Stack
from imagedrop.growth.plan import (
    CHUNK_IMAGES,
    CONCURRENCIES,
    CONCURRENCIES_ON_INSTANCES,
    INSTANCE_COUNTS,
    Plan,
    bulk_with,
    drop_with,
    plan_bulk,
    plan_drop,
)
from imagedrop.output import INTERRUPTED

FIGURES = known()
MILLION = 1_000_000


def test_a_million_at_leisure_by_hand() -> None:
    drop = plan_drop(Load(images=MILLION), None, FIGURES)
    # An image's data are 71,420 bytes as WebP to a serverless endpoint: $1.14 a million, and its
    # seconds $0.34. As npy to instances they are 150,948 bytes: $2.42, and the machine on top.
    assert drop.parameters == {"ClassifyConcurrency": "5", "EndpointCapacity": "2048"}
    assert drop.dollars["endpoint, data"] == pytest.approx(71.42 * 0.016, abs=0.01)
    assert drop.quotas == ()
    # 3 + 1 writes an image, a read of S3, and 1.2 requests of the queue.
    fixed = 4 * 0.625 + 0.40 + 1.2 * 0.40
    priced = ("table", "table, order by confidence", "s3 requests", "queue")
    assert sum(drop.dollars[item] for item in priced) == pytest.approx(fixed, abs=0.01)
    bulk = plan_bulk(Load(images=MILLION), None, FIGURES)
    assert bulk.options == ("--instance-count 2", "--chunk-images 10000")
    # Listing 200 s; then two waves of 50 chunks of 10,000. Preparing the first takes ten functions
    # five turns of 96.1 s. A job takes four minutes of start and 5e5 / 1,096 s, longer than what is
    # prepared or recorded meanwhile. Recording the second is 4,000 rows a second; deleting 48 s.
    by_hand = 200 + 5 * 96.1 + 2 * (240 + 5e5 / 1_096) + 5e5 / 4_000 + 48
    assert bulk.seconds == pytest.approx(by_hand, rel=0.02)
    # What it does while it is at work; the run as a whole does fewer.
    assert bulk.limit.resource == "transform"
    assert bulk.limit.images_per_second == pytest.approx(1e6 / (480 + 1e6 / 1_096), rel=0.01)


def test_a_thousand_a_second_within_ten_seconds_by_hand() -> None:
    found = plan_drop(Load(images=3_600_000, images_per_second=1000), 10, FIGURES)
    # A full batch takes 15 ms and ten times 19.9 ms, so one environment does 46.7 images a second:
    # 20 do 935, too few, and 40 do 1,869.
    assert found.parameters == {"ClassifyConcurrency": "40", "EndpointCapacity": "2048"}
    # An image that does not wait: a second for S3's event, 15 ms and once 19.9 ms.
    assert 1.0348 <= found.p99_seconds <= 1.3
    assert found.seconds == pytest.approx(3_601, abs=2)
    # 3.6 million images write four items each, and pay $0.016 for each of 257.1 GB.
    assert found.dollars["table"] + found.dollars["table, order by confidence"] == pytest.approx(
        9.0
    )
    assert found.dollars["endpoint, data"] == pytest.approx(3.6 * 71.42 * 0.016)
    assert [(each.code, each.needed) for each in found.quotas] == [
        ("L-B99A9384", 80),
        ("L-96300102", 45),
    ]


def test_a_hundred_million_in_bulk_within_a_day_by_hand() -> None:
    found = plan_bulk(Load(images=100 * MILLION), 24 * 3600, FIGURES)
    # Below 80,000 chunks: 10,000 of 10,000 images. Listing is 100,000 pages of 0.2 s, 5.6 h; an
    # index takes 100e6 rows at 4,000 a second in 6.9 h at least, while S3 gives the files of
    # later waves; deleting takes 1.3 h. So 13.8 h are fixed.
    fixed = 100_000 * 0.2 + 100e6 / 4_000 + 4_710
    assert "--chunk-images 10000" in found.options
    assert fixed < found.seconds <= 24 * 3600
    # The machines' hours are the same for any number of them, but for their starts.
    machine_hours = 100e6 / 548 / 3600
    assert found.dollars["transform"] >= machine_hours * 0.204
    assert found.dollars["table"] == pytest.approx(200.0)


def test_each_instance_is_paid_for_until_the_endpoint_is_deployed_back() -> None:
    stack = Stack(classify_concurrency=40, endpoint_capacity=INSTANCE)
    found = drop_with(Load(images=2 * MILLION), stack, FIGURES)
    # It takes 18 minutes, and the endpoint stays for the hour: one instance from the beginning, and
    # three since the third minute, when the alarm asked for them.
    assert found.seconds < 3_600
    hours = (3_600 + 3 * (3_600 - 180)) / 3_600
    assert found.dollars["endpoint, instances"] == pytest.approx(
        hours * ENDPOINT_INSTANCE_HOURS[INSTANCE].dollars, rel=0.01
    )


def every_run(images: int) -> list[Plan]:
    return [
        bulk_with(images, run, concurrency, FIGURES)
        for chunk_images in CHUNK_IMAGES
        for count in INSTANCE_COUNTS
        for run in [RunSettings(chunk_images=chunk_images, instance_count=count)]
        for concurrency in CONCURRENCIES
    ]


def test_no_run_that_is_in_time_is_cheaper_and_none_is_faster_than_the_fastest() -> None:
    every = every_run(200_000)
    for deadline in (900.0, 1_500.0):
        in_time = [each.total_dollars for each in every if each.seconds <= deadline]
        assert plan_bulk(Load(images=200_000), deadline, FIGURES).total_dollars == min(in_time)
    fastest = min(each.seconds for each in every)
    assert plan_bulk(Load(images=200_000), fastest, FIGURES).seconds == fastest
    with pytest.raises(UserError) as refused:
        plan_bulk(Load(images=200_000), fastest - 0.1, FIGURES)
    assert f"The fastest takes {duration(fastest)}" in str(refused.value)


def test_no_stack_that_is_in_time_is_cheaper_and_none_is_faster_than_the_fastest() -> None:
    load = Load(images=10_000)
    every = [
        drop_with(load, Stack(classify_concurrency=count, endpoint_capacity=capacity), FIGURES)
        for capacity, counts in (
            (SERVERLESS, CONCURRENCIES),
            (INSTANCE, CONCURRENCIES_ON_INSTANCES),
        )
        for count in counts
    ]
    in_time = [each.total_dollars for each in every if each.p99_seconds <= 40]
    assert plan_drop(load, 40, FIGURES).total_dollars == min(in_time)
    fastest = min(each.p99_seconds for each in every)
    with pytest.raises(UserError) as refused:
        plan_drop(load, fastest - 0.1, FIGURES)
    assert f"The fastest takes {duration(fastest)}" in str(refused.value)


@pytest.mark.parametrize(
    ("plan", "load", "impossible"),
    [
        (plan_drop, Load(images=20_000), "5s"),
        (plan_bulk, Load(images=20_000), "2min"),
        (plan_bulk, Load(images=20_000, images_per_second=10), "20min"),
    ],
)
def test_an_impossible_deadline_says_which_one_is_possible(
    plan: Callable[..., Plan], load: Load, impossible: str
) -> None:
    with pytest.raises(UserError) as refused:
        plan(load, deadline_seconds(impossible), FIGURES)
    possible = re.search(r"--deadline (\S+)\.", refused.value.next_step)
    assert possible
    seconds = deadline_seconds(possible[1])
    assert seconds
    assert plan(load, seconds, FIGURES).p99_seconds <= seconds


def test_no_configuration_is_an_error_that_names_the_limit_and_the_quota() -> None:
    with pytest.raises(UserError) as refused:
        plan_drop(Load(images=100_000, images_per_second=10_000), 10, FIGURES)
    assert "writes to an index, at 4,000 images/s" in str(refused.value)
    assert "INDEX_PARTITIONS" in refused.value.next_step
    assert "L-96300102" in refused.value.next_step
    with pytest.raises(UserError) as refused:
        plan_bulk(Load(images=10 * MILLION), 3600, FIGURES)
    assert "by bulk" in str(refused.value)


def test_more_images_than_one_run_takes_are_refused() -> None:
    with pytest.raises(UserError, match="80,000 chunks"):
        plan_bulk(Load(images=1_000 * MILLION), None, FIGURES)


@pytest.mark.thorough
@settings(max_examples=4, deadline=None)
@given(
    images=st.integers(1_000, 50_000),
    more=st.integers(1, 3),
    deadline=st.sampled_from([30.0, 300.0, 3_600.0, None]),
)
def test_more_images_are_never_cheaper(images: int, more: int, deadline: float | None) -> None:
    for plan in (plan_drop, plan_bulk):
        try:
            many = plan(Load(images=images * (more + 1)), deadline, FIGURES)
        except UserError:
            continue
        few = plan(Load(images=images), deadline, FIGURES)
        assert few.total_dollars <= many.total_dollars


@pytest.mark.thorough
@settings(max_examples=4, deadline=None)
@given(images=st.integers(1_000, 100_000), rate=st.sampled_from([None, 20.0, 900.0]))
def test_a_tighter_deadline_is_never_cheaper(images: int, rate: float | None) -> None:
    load = Load(images=images, images_per_second=rate)
    for plan in (plan_drop, plan_bulk):
        before = 0.0
        for deadline in (None, 7_200.0, 1_200.0, 120.0, 12.0):
            try:
                found = plan(load, deadline, FIGURES)
            except UserError:
                break
            assert found.total_dollars >= before
            assert deadline is None or found.p99_seconds <= deadline
            before = found.total_dollars


def test_the_command_prints_both_ways_and_where_the_figures_come_from() -> None:
    found = CliRunner().invoke(app, ["plan", "--images", "1000", "--deadline", "1h"])
    assert found.exit_code == 0
    # Whole lines, to be copied.
    assert 'parameter_overrides = "ClassifyConcurrency=5 EndpointCapacity=2048"\n' in found.stdout
    assert "imagedrop bulk start FOLDER --instance-count 1 --chunk-images 1" in found.stdout
    for word in ("measured", "documented", "assumed"):
        assert word in found.stdout


def test_on_80_columns_only_what_is_to_be_copied_is_longer() -> None:
    found = CliRunner(env={"COLUMNS": "80"}).invoke(
        app, ["plan", "--images", "5000", "--rate", "300", "--deadline", "1h"]
    )
    copied = ("drop, samconfig.toml", "bulk, samconfig.toml", "bulk, command")
    long = [line for line in found.stdout.splitlines() if len(line) > 80]
    assert all(line.startswith(copied) for line in long)


def test_when_neither_way_is_in_time_both_say_what_to_do() -> None:
    found = CliRunner().invoke(app, ["plan", "--images", "5000", "--deadline", "3s"])
    assert isinstance(found.exception, UserError)
    assert "by drop" in found.stderr
    assert "--deadline" in found.stderr
    assert "by bulk" in str(found.exception)


def test_after_ctrl_c_nothing_was_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Plan:
        raise KeyboardInterrupt

    monkeypatch.setattr("imagedrop.commands.plan.plan_drop", interrupted)
    found = CliRunner().invoke(app, ["plan", "--images", "10"])
    assert found.exit_code == INTERRUPTED
    assert found.stdout == ""


def test_the_command_prints_json() -> None:
    run = CliRunner().invoke(app, ["plan", "--images", "1000", "--format", "json"])
    found = json.loads(run.stdout)
    assert set(found) == {"drop", "bulk"}
    assert found["drop"]["total_dollars"] == pytest.approx(
        sum(found["drop"]["dollars"].values()), abs=0.01
    )


@pytest.mark.parametrize("deadline", ["2 hours", "0s", "-1h", "h", "nan"])
def test_a_deadline_that_is_none_is_refused(deadline: str) -> None:
    found = CliRunner().invoke(app, ["plan", "--images", "10", f"--deadline={deadline}"])
    assert isinstance(found.exception, UserError)
