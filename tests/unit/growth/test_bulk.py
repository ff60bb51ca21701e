"""The simulation of a bulk run, beside the arithmetic of its phases."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagedrop.estimates.bulk_run import RunSettings, size_run
from imagedrop.growth.bulk import BulkOutcome, simulate_bulk
from imagedrop.growth.figures import known

FIGURES = known()
MILLION = 1_000_000


def simulated(images: int, settings: RunSettings, concurrency: int) -> BulkOutcome:
    sizing = size_run(images, settings, lambda_concurrency=concurrency)
    return simulate_bulk(sizing, settings, concurrency, FIGURES)


def test_without_waiting_a_run_takes_the_sum_of_its_turns() -> None:
    found = simulated(MILLION, RunSettings(), 5)
    assert found.seconds == pytest.approx(size_run(MILLION, RunSettings()).seconds, rel=0.01)
    assert found.slowest_phase == "transform"


def test_more_functions_than_s3_and_the_table_allow_wait_for_them() -> None:
    found = simulated(MILLION, RunSettings(wave_images=MILLION), 200)
    assert found.took["prepare"] == pytest.approx(MILLION / 5_500, rel=0.1)
    assert found.took["record"] == pytest.approx(MILLION / 4_000, rel=0.1)


def test_a_short_last_wave_starts_its_job_as_slowly_as_a_full_one() -> None:
    found = simulated(300_000, RunSettings(chunk_images=10_000), 5)
    # Waves of 250,000 and 50,000 images. Listing is 300 pages of 0.2 s. A function prepares a chunk
    # in 96.1 s, and five prepare the first wave in five rounds. Each job starts for four minutes
    # and answers 548 images a second; meanwhile the second wave's five chunks are prepared, and 25
    # chunks of the first one are recorded, in 25 s each. The second one's take 25 s.
    jobs = (240 + 250_000 / 548, 240 + 50_000 / 548)
    by_hand = 300 * 0.2 + 5 * 96.1 + sum(jobs) + 25 + 15
    assert found.took["transform"] == pytest.approx(sum(jobs))
    assert found.seconds == pytest.approx(by_hand, rel=0.01)


def test_a_phase_does_more_while_it_is_at_work_than_the_whole_run() -> None:
    found = simulated(300_000, RunSettings(chunk_images=10_000), 5)
    assert found.images_per_second("transform") == pytest.approx(300_000 / (480 + 300_000 / 548))
    assert found.images_per_second("transform") > 300_000 / found.seconds


def test_small_chunks_wait_for_state_transitions() -> None:
    found = simulated(100_000, RunSettings(chunk_images=10, shard_images=10), 200)
    # 10,000 chunks of two transitions, at 800 a second.
    assert found.took["record"] >= 10_000 * 2 / 800


@settings(max_examples=25, deadline=None)
@given(
    images=st.integers(1, 300_000),
    chunk_images=st.sampled_from([64, 1_000, 10_000]),
    concurrency=st.sampled_from([2, 5, 200]),
    direct=st.booleans(),
)
def test_every_image_of_a_run_has_its_row(
    images: int, chunk_images: int, concurrency: int, direct: bool
) -> None:
    run = RunSettings(chunk_images=chunk_images, direct=direct)
    assert simulated(images, run, concurrency).rows == images
