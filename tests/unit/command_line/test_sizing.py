"""Sizes, seconds and dollars, checked by hand where possible."""

from __future__ import annotations

import json
import tarfile
from typing import Any

import pytest

from bench import sizing_tables
from imagedrop.doctor.machine import ARCHIVE
from imagedrop.estimates import bulk_run as bulk_sizing
from imagedrop.estimates import prices, stack
from imagedrop.estimates.bulk_run import RunSettings, duration, overlong_steps, problems, size_run
from imaging import ImageSpec
from tools.template import load

MILLION = 1_000_000


def one_wave(**settings: int) -> RunSettings:
    return RunSettings(wave_images=MILLION, **settings)  # type: ignore[arg-type]


def test_shards_do_not_reach_from_one_chunk_into_the_next() -> None:
    sizing = size_run(2_010, RunSettings(chunk_images=1000, shard_images=64))
    assert (sizing.chunks, sizing.shards) == (3, 16 + 16 + 1)


def test_a_shard_is_one_request_of_its_pixels_and_a_header() -> None:
    settings = RunSettings(shard_images=64)
    assert settings.payload_bytes == 64 * 150_528 + 128
    assert settings.payload_megabytes == 10


def test_twice_the_instances_halve_the_transform_but_for_its_start() -> None:
    one, two = (
        size_run(MILLION, one_wave(instance_count=count)).phase_seconds["transform"]
        for count in (1, 2)
    )
    start = bulk_sizing.INSTANCE_START_SECONDS
    assert one - start == pytest.approx(2 * (two - start))


def test_more_functions_at_once_prepare_sooner_until_s3_is_the_limit() -> None:
    seconds = [
        size_run(MILLION, one_wave(), lambda_concurrency=count).phase_seconds["prepare"]
        for count in (1, 10, 1000)
    ]
    assert seconds[0] == pytest.approx(10 * seconds[1])
    assert seconds[2] == pytest.approx(MILLION / bulk_sizing.PREFIX_GETS_PER_SECOND)


def test_cost_grows_with_the_images_and_storage_with_the_time_as_well() -> None:
    runs = [size_run(count, RunSettings()) for count in (10_000, MILLION, 100 * MILLION)]
    stored = [each.cost_dollars["s3 storage of the work files"] for each in runs]
    others = [each.dollars - paid for each, paid in zip(runs, stored, strict=True)]
    assert others == sorted(others)
    assert others[2] / others[1] == pytest.approx(100, rel=0.02)
    assert stored[2] / stored[1] > 100


def test_the_parts_of_the_cost_follow_the_prices() -> None:
    sizing = size_run(MILLION, RunSettings())
    assert sizing.cost_dollars["table"] == pytest.approx(3 * 0.625 + 0.125)
    assert sizing.cost_dollars["table, order by confidence"] == pytest.approx(0.625)
    hours = sizing.phase_seconds["transform"] / 3600
    assert sizing.cost_dollars["transform"] == pytest.approx(hours * 0.204)
    assert sizing.dollars == pytest.approx(sum(sizing.cost_dollars.values()))


def test_pixels_are_paid_for_while_the_run_takes_and_its_names_until_they_expire() -> None:
    sizing = size_run(MILLION, RunSettings())
    pixels = MILLION * 150_528 / 1024**3 * sizing.seconds / (30 * 86_400)
    names = MILLION * bulk_sizing.KEPT_BYTES_PER_IMAGE / 1024**3 * 14 / 30
    paid = sizing.cost_dollars["s3 storage of the work files"]
    assert paid == pytest.approx((pixels + names) * 0.023)
    assert paid < 0.02


def test_a_direct_run_has_no_shards_and_one_request_an_image() -> None:
    direct, prepared = (size_run(MILLION, RunSettings(direct=each)) for each in (True, False))
    assert (direct.shards, direct.usage.work_bytes) == (0, 0)
    assert direct.usage.s3_puts > MILLION > prepared.usage.s3_puts
    assert direct.phase_seconds["transform"] > 2 * prepared.phase_seconds["transform"]
    assert direct.phase_seconds["prepare"] < prepared.phase_seconds["prepare"]


def test_waves_overlap_and_cost_a_start_each() -> None:
    one, four = size_run(MILLION, one_wave()), size_run(MILLION, RunSettings())
    assert (one.waves, four.waves) == (1, 4)
    assert one.seconds == pytest.approx(sum(one.phase_seconds.values()))
    assert four.seconds < 0.8 * one.seconds
    starts = 3 * bulk_sizing.INSTANCE_START_SECONDS / 3600 * 0.204
    assert four.cost_dollars["transform"] - one.cost_dollars["transform"] == pytest.approx(starts)
    assert four.dollars < 1.02 * one.dollars


def test_run_of_a_job_or_less_costs_one_start() -> None:
    assert size_run(250_000, RunSettings()).waves == 1


def test_an_instance_without_a_price_is_an_error_not_a_guess() -> None:
    with pytest.raises(KeyError):
        size_run(10, RunSettings(instance_type="ml.x9.huge"))


def test_every_instance_with_a_price_has_its_number_of_processors() -> None:
    assert set(prices.TRANSFORM_INSTANCE_HOURS) == set(bulk_sizing.INSTANCE_VCPUS)


def test_every_price_has_the_day_it_was_noted() -> None:
    assert all(price.dollars > 0 and price.noted_on for price in prices.ALL)


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        (RunSettings(shard_images=697), "--shard-images"),
        (RunSettings(chunk_images=10, shard_images=64), "--chunk-images"),
        (RunSettings(chunk_images=30_000), "--chunk-images"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_option_to_change(
    settings: RunSettings, option: str
) -> None:
    ((_, remedy),) = problems(settings)
    assert option in remedy


def test_the_defaults_work() -> None:
    assert problems(RunSettings()) == []
    assert overlong_steps(size_run(10 * MILLION, RunSettings())) == []


def test_one_function_a_run_bounds_the_number_of_chunks() -> None:
    (step,) = overlong_steps(size_run(320 * MILLION, RunSettings()))
    assert step.startswith("plan takes 20 min")
    assert not overlong_steps(size_run(320 * MILLION, RunSettings(chunk_images=2_000)))


def test_requests_at_once_never_exceed_what_sagemaker_takes() -> None:
    assert RunSettings(max_concurrent_transforms=50).requests_at_once == 10
    assert RunSettings(max_concurrent_transforms=2).requests_at_once == 2


def test_the_documented_scenarios_can_be_run() -> None:
    for each in sizing_tables.SCENARIOS:
        assert problems(each.settings) == []
        assert overlong_steps(each.size()) == []


def test_the_arithmetic_knows_the_template() -> None:
    template: Any = load()
    parameters, resources = template["Parameters"], template["Resources"]
    assert parameters["ClassifyConcurrency"]["Default"] == stack.BULK_CONCURRENCY
    told = resources["BulkStepsFunction"]["Properties"]["Environment"]["Variables"]
    assert told["BULK_CONCURRENCY"] == {"Ref": "ClassifyConcurrency"}
    assert template["Mappings"]["Limits"]["Bulk"]["WorkRetentionDays"] == stack.WORK_KEPT_DAYS
    chunks = resources["BulkChunksFunction"]["Properties"]
    steps = resources["BulkStepsFunction"]["Properties"]
    assert chunks["MemorySize"] == stack.LAMBDA_MEGABYTES
    assert steps["MemorySize"] == stack.STEPS_LAMBDA_MEGABYTES
    table = resources["PredictionsTable"]["Properties"]
    assert 1 + len(table["GlobalSecondaryIndexes"]) == (
        stack.WRITES_PER_IMAGE + stack.ORDER_WRITES_PER_IMAGE
    )
    classify = resources["ClassifyFunction"]["Properties"]
    (batch,) = {each["Properties"]["BatchSize"] for each in classify["Events"].values()}
    assert batch == stack.BATCH_IMAGES
    queue = resources["ImagesQueue"]["Properties"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == stack.TRIES
    assert queue["MessageRetentionPeriod"] == stack.QUEUE_SECONDS
    assert template["Mappings"]["Limits"]["Endpoint"]["MaxInstances"] == stack.ENDPOINT_INSTANCES
    scaling = resources["EndpointScalingPolicy"]["Properties"]
    target = scaling["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
    assert target == stack.SCALE_OUT_CALLS_A_MINUTE
    assert classify["MemorySize"] == stack.LAMBDA_MEGABYTES
    changed = resources["ChangesFunction"]["Properties"]["Events"]["Changed"]["Properties"]
    assert changed["BatchSize"] == stack.CHANGES_BATCH_ROWS
    assert parameters["EndpointCapacity"]["Default"] == str(stack.ENDPOINT_MEGABYTES)
    assert chunks["Timeout"] == steps["Timeout"] == stack.LAMBDA_SECONDS


def test_the_arithmetic_knows_the_default_model() -> None:
    with tarfile.open(ARCHIVE) as archive:
        card: Any = json.load(archive.extractfile("model.json"))  # type: ignore[arg-type]
    assert ImageSpec.from_json(card["image_spec"]).image_bytes == stack.IMAGE_BYTES


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(45.2, "45 s"), (720, "12 min"), (12_240, "3.4 h"), (181_440, "2.1 days")],
)
def test_durations_read_as_one_says_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words
