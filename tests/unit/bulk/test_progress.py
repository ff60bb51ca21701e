"""The progress bars count the files that the steps have written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bulk.progress import Phase, Progress, ProgressReader
from bulk.run import chunk_name
from imagedrop.commands.bulk_wait import bar_values
from pipeline.errors import TransientError
from tests.fakes import jpeg
from tests.unit.bulk.conftest import Bulk


@pytest.fixture
def reader(bulk: Bulk) -> ProgressReader:
    """Of a run of 23 images and one that is none, in chunks of 10 and shards of 4."""
    for number in range(23):
        bulk.put(f"folder/{number:03}.jpg", jpeg(number))
    bulk.put("folder/text.jpg", b"<html>")
    bulk.work.write_json(bulk.files.run_json, bulk.run.to_json())
    return ProgressReader(bulk.s3, bulk.work, bulk.run.name)


def test_before_anything_is_written_the_run_is_starting(bulk: Bulk) -> None:
    assert ProgressReader(bulk.s3, bulk.work, "unknown").read() == Progress()


def test_each_phase_is_told_with_its_counts(bulk: Bulk, reader: ProgressReader) -> None:
    assert reader.read() == Progress(phase=Phase.LISTING)
    bulk.list()
    assert reader.read() == Progress(phase=Phase.PREPARING, listed=24)
    bulk.prepare()
    # The one that is no image counts as prepared, and is not in a shard.
    prepared = Progress(phase=Phase.PREPARING, listed=24, prepared=24, to_transform=23)
    assert reader.read() == prepared
    bulk.plan()
    assert reader.read() == replace(prepared, phase=Phase.TRANSFORMING)
    bulk.transform()
    transformed = replace(prepared, phase=Phase.TRANSFORMING, transformed=23)
    assert reader.read() == transformed
    bulk.record()
    recorded = replace(transformed, phase=Phase.RECORDING, recorded=24)
    assert reader.read() == recorded
    bulk.reconcile(0, None)
    assert reader.read() == replace(recorded, phase=Phase.FINISHED)


def test_a_chunk_at_work_counts_by_its_shards(bulk: Bulk, reader: ProgressReader) -> None:
    bulk.list()
    bulk.prepare()
    bulk.s3.delete_object(Bucket="work", Key=bulk.files.prepared(chunk_name(1)))
    bulk.s3.delete_object(Bucket="work", Key=bulk.files.prepared(chunk_name(2)))
    shards = [key for key in bulk.work.keys(bulk.files.shards) if key.endswith(".npy")]
    first = next(key for key in shards if "/000001-" in key)
    for key in shards:
        if "/000000-" not in key and key != first:
            bulk.s3.delete_object(Bucket="work", Key=key)
    assert reader.read().prepared == 10 + 4


def test_transformed_counts_the_images_of_finished_shards(
    bulk: Bulk, reader: ProgressReader
) -> None:
    bulk.spoil = lambda name, answer: answer if "000000-" in name else None
    bulk.list()
    bulk.prepare()
    bulk.plan()
    bulk.transform()
    assert (reader.read().transformed, reader.read().to_transform) == (10, 23)


def test_a_second_round_is_told(bulk: Bulk, reader: ProgressReader) -> None:
    bulk.spoil = lambda name, answer: answer if "000000-" in name else None
    bulk.list()
    bulk.prepare()
    bulk.plan()
    bulk.record()
    bulk.reconcile(0, None)
    now = reader.read()
    assert (now.round, now.phase, now.listed, now.recorded) == (1, Phase.PREPARING, 24, 24)
    bulk.prepare(1)
    bulk.plan(1)
    assert reader.read().phase is Phase.TRANSFORMING
    bulk.record(1)
    assert reader.read().phase is Phase.RECORDING


def test_a_direct_run_counts_outputs(bulk: Bulk, reader: ProgressReader) -> None:
    bulk.run = replace(bulk.run, direct=True)
    bulk.work.write_json(bulk.files.run_json, bulk.run.to_json())
    bulk.list()
    bulk.prepare()
    bulk.work.write(bulk.files.output("folder/001.jpg"), b"[]", "application/json")
    now = reader.read()
    assert (now.to_transform, now.transformed) == (24, 1)


def test_a_reading_stops_after_its_pages_and_says_at_least(
    bulk: Bulk, reader: ProgressReader
) -> None:
    bulk.list()
    bulk.prepare()
    bulk.plan()
    bulk.transform()
    bulk.record()
    whole = reader.read()
    for most_pages in (0, 1, 2, 3, 4, 5, 6):  # each reading has its own pages
        reader.most_pages = most_pages
        now = reader.read()
        assert now.at_least is (most_pages < 5)  # one page of each of the five folders
        assert now.listed == whole.listed == 24
        assert now.prepared <= whole.prepared
        assert now.recorded <= whole.recorded
        assert now.transformed <= whole.transformed
        assert now.at_least or now == whole


def test_a_busy_bucket_is_transient(
    bulk: Bulk, reader: ProgressReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy:
        def paginate(self, **_request: str) -> Iterator[Any]:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": ""}}, "ListObjectsV2")
            yield

    monkeypatch.setattr(bulk.s3, "get_paginator", lambda _name: Busy())
    with pytest.raises(TransientError):
        reader.read()


@pytest.mark.parametrize(
    ("phase", "known"),
    [
        (Phase.LISTING, set()),
        (Phase.PREPARING, {"listed", "prepared", "recorded"}),
        (Phase.TRANSFORMING, {"listed", "prepared", "recorded", "transformed"}),
    ],
)
def test_a_bar_has_an_end_once_it_is_known(phase: Phase, known: set[str]) -> None:
    values: dict[str, Any] = bar_values(Progress(phase=phase, listed=5, to_transform=4))
    assert {name for name, (_, total) in values.items() if total is not None} == known
