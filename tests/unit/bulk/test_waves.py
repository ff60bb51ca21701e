"""Waves of a bulk run: several transform jobs that follow each other end as one would."""

from __future__ import annotations

from bulk.run import BulkRun
from bulk.turns import jobs_of
from tests.unit.bulk.conftest import Bulk, bulk_run
from tests.unit.bulk.filled import assert_accounted, fill


def test_a_folder_in_waves_ends_like_one_with_a_job_for_each(bulk: Bulk) -> None:
    keys = fill(bulk)
    bulk.run = bulk_run(wave_images=10)
    bulk.spoil = lambda name, answer: None if name.startswith("000001-0000") else answer
    report = bulk.go()
    assert_accounted(bulk, keys)
    assert (report["status"], report["rounds"], report["classified"]) == ("COMPLETE", 2, 27)
    # Thirty images in chunks of ten, and what was lost in the second wave.
    names = [each["name"] for each in report["transform_jobs"]]
    assert names == ["job-0-0", "job-0-1", "job-0-2", "job-1-0"]
    assert len(bulk.transformed) == len(set(bulk.transformed))


def test_turns_prepare_transform_and_record_three_waves_that_follow_each_other(
    bulk: Bulk,
) -> None:
    fill(bulk)
    bulk.run = bulk_run(wave_images=10)
    bulk.list()
    parts = ("prepare", "transform", "record")
    turns = [bulk.turn(0, number, {"job": {}, "problem": {}}) for number in range(5)]
    waves = [[each[part].get("wave") for part in parts] for each in turns]
    none = None
    assert waves == [[0, none, none], [1, 0, none], [2, 1, 0], [none, 2, 1], [none, none, 2]]
    assert [each["last"] for each in turns] == [False, False, False, False, True]
    # Together they call no more functions than one of them alone.
    for each in turns:
        assert sum(each[part].get("concurrency", 0) for part in parts) in (0, 5)


def test_run_that_began_before_there_were_waves_has_one(bulk: Bulk) -> None:
    written = bulk_run().to_json()
    del written["wave_images"]
    assert BulkRun.from_json(written).waves(200, 0) == [slice(0, 25_000)]


def test_small_waves_of_many_images_are_no_more_turns_than_an_execution_can_count() -> None:
    run = bulk_run(wave_images=1, chunk_images=1000)
    waves = run.waves(10_000, 0)  # ten million images
    assert len(waves) == 400
    assert (waves[0].start, waves[-1].stop) == (0, 10_000)


def test_a_turn_that_planned_nothing_keeps_what_is_known_of_the_job(bulk: Bulk) -> None:
    fill(bulk)
    bulk.list()
    job = {"name": "a-job", "status": "Completed"}
    bulk.turn(0, 2, {"job": job, "problem": {}})
    bulk.turn(0, 2, {"job": None, "problem": {}})  # resumed: all outputs are there
    assert jobs_of(bulk.work, bulk.run, 0) == [job]
