"""A complete run deletes its shards and outputs; an incomplete run keeps them."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from bulk import delete_shards as module
from bulk.delete_shards import delete_shards
from bulk.progress import Phase, ProgressReader
from bulk.work_bucket import WorkBucket
from tests.fakes import jpeg
from tests.unit.bulk.conftest import Bulk


@pytest.fixture
def filled(bulk: Bulk) -> Bulk:
    """Of 23 images and one that is none, in chunks of 10 and shards of 4."""
    for number in range(23):
        bulk.put(f"folder/{number:03}.jpg", jpeg(number))
    bulk.put("folder/text.jpg", b"<html>")
    bulk.work.write_json(bulk.files.run_json, bulk.run.to_json())
    return bulk


def pixels_and_answers(bulk: Bulk) -> list[str]:
    return [*bulk.work.keys(bulk.files.shards), *bulk.work.keys(bulk.files.outputs)]


def test_a_complete_run_keeps_its_report_and_its_ledger_and_no_pixels(filled: Bulk) -> None:
    report = filled.go()
    assert report["status"] == "COMPLETE"
    assert pixels_and_answers(filled) == []
    assert len(filled.ledger()) == 24
    assert filled.report() == report


def test_an_incomplete_run_keeps_its_files_to_find_the_reason(filled: Bulk) -> None:
    filled.spoil = lambda name, answer: (
        None if name.startswith(("000001-0000", "1-000000-0000")) else answer
    )
    assert filled.go()["status"] == "INCOMPLETE"
    assert pixels_and_answers(filled)


def test_a_complete_run_that_is_resumed_asks_for_no_transform_job(filled: Bulk) -> None:
    report = filled.go()
    filled.transformed.clear()
    again = filled.go()
    assert filled.transformed == []
    counts = ("status", "listed", "classified", "rejected", "unaccounted", "labels")
    assert [again[each] for each in counts] == [report[each] for each in counts]


def test_a_resumed_run_that_was_completed_by_its_second_round_asks_for_no_transform_job(
    filled: Bulk,
) -> None:
    filled.lost_chunks.add(("record", "000001"))
    report = filled.go()
    assert (report["status"], report["rounds"]) == ("COMPLETE", 2)
    filled.lost_chunks.clear()
    filled.transformed.clear()
    again = filled.go()
    assert filled.transformed == []
    counts = ("status", "listed", "classified", "rejected", "unaccounted", "labels")
    assert [again[each] for each in counts] == [report[each] for each in counts]


def test_the_progress_of_a_complete_run_is_whole_without_its_shards(filled: Bulk) -> None:
    filled.go()
    progress = ProgressReader(filled.s3, filled.work, filled.run.name).read()
    assert progress.phase is Phase.FINISHED
    assert (progress.transformed, progress.to_transform, progress.recorded) == (23, 23, 24)


def test_only_the_runs_own_files_are_deleted(filled: Bulk) -> None:
    others = ("work/trial-2/shards/a.npy", "work/trial/ledger/x.jsonl", "reports/trial/page.html")
    for key in others:
        filled.work.write(key, b"x", "text/plain")
    filled.go()
    assert all(filled.work.exists(key) for key in others)


def test_when_its_time_is_over_the_deletion_says_so_and_continues_later(
    filled: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DELETED_AT_ONCE", 5)
    filled.list()
    filled.prepare()
    before = len(pixels_and_answers(filled))
    answers = iter([False, True])
    assert not delete_shards(filled.work, filled.files, lambda: next(answers))
    assert len(pixels_and_answers(filled)) == before - 5
    assert delete_shards(filled.work, filled.files, lambda: False)
    assert pixels_and_answers(filled) == []


def test_a_refused_deletion_is_an_error(filled: Bulk) -> None:
    class Refusing:
        def delete_objects(self, **request: object) -> dict[str, object]:
            return {"Errors": [{"Key": "a", "Code": "AccessDenied", "Message": "no"}]}

    with pytest.raises(ClientError, match="AccessDenied"):
        WorkBucket(Refusing(), "work").delete(["a"])  # type: ignore[arg-type]
