"""One machine's cores, shared by all that works on it: checked by hand."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest
import simpy

from bench.growth import local_figures
from imagedrop.estimates.bulk_run import RunSettings, size_run
from imagedrop.growth.bulk import simulate_bulk
from imagedrop.growth.drop import simulate
from imagedrop.growth.figures import known
from imagedrop.growth.limits import Load, Stack
from imagedrop.growth.machine import Machine, SharedCores

# A batch takes 10 ms an image alone, and nothing else takes time.
ONLY_IMAGES = local_figures(batch_seconds=0.0, image_seconds=0.010)


def ends(machine: Machine, *activities: tuple[float, str, float]) -> list[float]:
    """When each ends that begins at a moment, is of a kind, and takes so many seconds alone."""
    env = simpy.Environment()
    cores = SharedCores(env, machine)
    found = [0.0] * len(activities)

    def one(
        place: int, began: float, kind: str, seconds: float
    ) -> Generator[simpy.Event, None, None]:
        yield env.timeout(began)
        yield cores.work(kind, seconds)
        found[place] = env.now

    for place, each in enumerate(activities):
        env.process(one(place, *each))
    env.run()
    return found


def test_while_there_are_cores_each_is_as_fast_as_alone() -> None:
    machine = Machine(2.0, {"work": 1.0})
    assert ends(machine, (0, "work", 3), (0, "work", 5)) == pytest.approx([3, 5])


def test_more_than_there_are_cores_are_slowed_down_alike() -> None:
    machine = Machine(2.0, {"work": 1.0})
    # Four on two cores are half as fast; when the short ones have ended, the long ones are not.
    found = ends(machine, *[(0, "work", seconds) for seconds in (1, 1, 4, 4)])
    assert found == pytest.approx([2, 2, 5, 5])


def test_who_comes_later_slows_down_who_is_there() -> None:
    machine = Machine(1.0, {"work": 1.0})
    # The first has two of three seconds left when the second comes; that takes two for its one.
    assert ends(machine, (0, "work", 3), (1, "work", 1)) == pytest.approx([4, 3])


def test_what_only_waits_takes_no_cores_and_as_long_as_always() -> None:
    machine = Machine(1.0, {"work": 2.0})
    assert ends(machine, (0, "work", 3), (0, "sleep", 2)) == pytest.approx([6, 2])


def test_a_drop_takes_its_cpu_by_the_cores_while_enough_batches_are_at_work() -> None:
    # 400 images of 10 ms, each on one core and a quarter, on two cores, and their uploads of 2 ms.
    machine = Machine(2.0, {"batch": 1.25, "upload": 1.0})
    load = Load(images=400, images_per_second=500)
    found = simulate(load, Stack(classify_concurrency=5), ONLY_IMAGES, machine)
    assert found.rows == 400
    assert found.seconds == pytest.approx((400 * 0.010 * 1.25 + 400 * 0.002) / 2, rel=0.05)
    alone = simulate(load, Stack(classify_concurrency=5), ONLY_IMAGES)
    assert found.seconds > 2 * alone.seconds


def test_a_bulk_run_takes_turns_on_the_cores_and_its_job_starts_once() -> None:
    settings = RunSettings(chunk_images=20)
    sizing = replace(
        size_run(160, settings),
        prepare_chunk_seconds=0.5,
        record_chunk_seconds=0.1,
        job_start_seconds=1.0,
        job_image_seconds=0.01,
        phase_seconds={},
    )
    machine = Machine(2.0, {"prepare": 1.0, "record": 1.0})
    found = simulate_bulk(sizing, settings, 5, known(), machine)
    # Eight chunks: while five are at work each is at 2/5 of its speed, then three at 2/3.
    assert found.took["prepare"] == pytest.approx(8 * 0.5 / 2, rel=0.01)
    assert found.took["record"] == pytest.approx(8 * 0.1 / 2, rel=0.05)
    assert found.took["transform"] == pytest.approx(1.0 + 1.6)
