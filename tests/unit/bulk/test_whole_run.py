"""A report's promise under every fault: every image, by name, once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bulk.ledger import Fate
from bulk.list_images import SYSTEM_NAMES, why_ignored
from pipeline.errors import TransientError
from pipeline.records import Road, Status
from tests.fakes import jpeg
from tests.unit.bulk.conftest import Bulk, answer_of, bulk_run
from tests.unit.bulk.filled import assert_accounted, fill
from training.data import folders
from training.data.folders import is_system_name


def test_every_image_of_a_folder_ends_as_a_row(bulk: Bulk) -> None:
    keys = fill(bulk)
    report = bulk.go()
    assert_accounted(bulk, keys)
    assert report["status"] == "COMPLETE"
    assert (report["classified"], report["rejected"]) == (27, 3)
    assert report["rejections"] == {"empty": 1, "not_an_image": 1, "truncated": 1}
    for key in keys:
        row = bulk.row(key)
        assert row is not None, key
        assert row.source is Road.BULK
    row = bulk.row("folder/005.jpg")
    assert row is not None
    assert (row.label, row.width, row.format, row.model) == ("5", 16, "JPEG", "dogs@1")


def test_left_out_names_are_in_the_report_not_silent(bulk: Bulk) -> None:
    fill(bulk)
    report = bulk.go()
    assert report["ignored"] == 2
    lines = bulk.work.read_lines(bulk.files.ignored(0)) + bulk.work.read_lines(
        bulk.files.ignored(1)
    )
    assert {(line["key"], line["reason"]) for line in lines} == {
        ("folder/", "folder_marker"),
        ("folder/.DS_Store", "hidden_file"),
    }
    assert report["ignored_reasons"] == {"folder_marker": 1, "hidden_file": 1}
    assert report["ignored_names"] == f"s3://work/{bulk.files.ignored_names}"


SYSTEMS = {
    "folder/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg": "system_folder",
    "folder/sub/__MACOSX/._1.jpg": "system_folder",
    "folder/Lost+Found/1.jpg": "system_folder",
    "folder/.thumbnails/1.jpg": "hidden_folder",
    "folder/sub/.ipynb_checkpoints/1.jpg": "hidden_folder",
    "folder/THUMBS.DB": "system_file",
    "folder/sub/._2.jpg": "hidden_file",
}


def test_what_systems_leave_in_a_folder_is_left_out_and_counted(bulk: Bulk) -> None:
    keys = fill(bulk)
    for key in SYSTEMS:
        bulk.put(key, jpeg())
    report = bulk.go()
    assert_accounted(bulk, keys)
    assert report["ignored"] == len(SYSTEMS) + 2
    assert report["ignored_reasons"] == {
        "system_folder": 3,
        "hidden_folder": 2,
        "hidden_file": 2,
        "folder_marker": 1,
        "system_file": 1,
    }


def test_hidden_folder_that_the_user_names_is_listed(bulk: Bulk) -> None:
    bulk.run = bulk_run(source={"kind": "folder", "bucket": "images", "prefix": ".cache/@eaDir/"})
    bulk.put(".cache/@eaDir/1.jpg", jpeg())
    assert bulk.go()["classified"] == 1


def test_keys_that_are_named_one_by_one_may_lie_in_any_folder(bulk: Bulk) -> None:
    bulk.put(".cache/@eaDir/1.jpg", jpeg())
    bulk.work.write("keys.txt", b".cache/@eaDir/1.jpg\n.cache/Thumbs.db\n", "text/plain")
    source = {"kind": "list", "uri": "s3://work/keys.txt", "bucket": "images"}
    bulk.run = bulk_run(source=source)
    report = bulk.go()
    assert (report["classified"], report["ignored_reasons"]) == (1, {"system_file": 1})


@pytest.mark.parametrize(
    "name", [*sorted(SYSTEM_NAMES), "Thumbs.db", "@eaDir", ".hidden", "dogs", "1.jpg"]
)
def test_a_name_is_left_out_in_s3_as_on_disk(name: str) -> None:
    is_left_out = is_system_name(name)
    assert bool(why_ignored(f"folder/{name}", "folder/")) == is_left_out
    assert bool(why_ignored(f"folder/{name}/1.jpg", "folder/")) == is_left_out
    assert folders.SYSTEM_NAMES == SYSTEM_NAMES


def test_a_second_run_skips_what_is_classified_and_again_does_not(bulk: Bulk) -> None:
    keys = fill(bulk)
    bulk.go()
    bulk.run = bulk_run(name="second", started_at="2999-06-01T00:00:00.000Z")
    report = bulk.go()
    assert (report["skipped"], report["classified"], report["status"]) == (30, 0, "COMPLETE")
    assert report["skips"] == {"already_classified": 30}
    bulk.run = bulk_run(name="third", again=True, started_at="2999-06-01T00:00:00.000Z")
    report = bulk.go()
    assert (report["skipped"], report["classified"], report["rejected"]) == (0, 27, 3)
    assert_accounted(bulk, keys)


def test_another_models_answer_does_not_count_as_done(bulk: Bulk) -> None:
    fill(bulk)
    bulk.go()
    bulk.run = bulk_run(name="second", model="dogs@2", started_at="2999-06-01T00:00:00.000Z")
    bulk.spoil = lambda _name, answer: answer.replace(b"dogs@1", b"dogs@2")
    report = bulk.go()
    assert report["classified"] == 27
    row = bulk.row("folder/001.jpg")
    assert row is not None
    assert row.model == "dogs@2"


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (None, "no_output"),
        (b"[", "invalid_output"),
        pytest.param(b"[]", "invalid_output", marks=pytest.mark.thorough),
        pytest.param(b'{"error": 1}', "invalid_output", marks=pytest.mark.thorough),
    ],
)
def test_a_missing_or_broken_output_is_asked_for_once_more(
    bulk: Bulk, spoiled: bytes | None, reason: str
) -> None:
    keys = fill(bulk)
    bulk.spoil = lambda name, answer: spoiled if name.startswith("000001-0000") else answer
    report = bulk.go()
    assert_accounted(bulk, keys)
    assert (report["status"], report["rounds"], report["classified"]) == ("COMPLETE", 2, 27)
    assert report["failures"] == {reason: 4}


def test_what_fails_twice_is_named_and_the_run_is_incomplete(bulk: Bulk) -> None:
    keys = fill(bulk)
    bulk.spoil = lambda name, answer: (
        None if name.startswith(("000001-0000", "1-000000-0000")) else answer
    )
    report = bulk.go()
    assert_accounted(bulk, keys)
    assert (report["status"], report["failed"]) == ("INCOMPLETE", 4)
    named = {each["key"] for each in report["examples"]["failed"]}
    assert named == {entry.key for entry in bulk.ledger() if entry.fate is Fate.FAILED}
    assert all(bulk.row(key) is None for key in named)


def test_an_answer_of_another_model_is_never_recorded(bulk: Bulk) -> None:
    keys = fill(bulk)
    bulk.spoil = lambda _name, answer: answer.replace(b"dogs@1", b"cats@9")
    report = bulk.go()
    assert_accounted(bulk, keys)
    assert report["failures"] == {"another_model": 54}
    assert (report["classified"], report["failed"]) == (0, 27)


@pytest.mark.parametrize("step", ["prepare", "record"])
def test_a_chunk_whose_function_never_succeeds_comes_again(bulk: Bulk, step: str) -> None:
    keys = fill(bulk)
    bulk.lost_chunks = {(step, "000001")}
    report = bulk.go()
    assert_accounted(bulk, keys)
    assert (report["status"], report["rounds"]) == ("COMPLETE", 2)
    assert report["classified"] + report["rejected"] == 30


@pytest.mark.parametrize("step", ["prepare", "record"])
def test_a_chunk_that_is_lost_twice_is_reported_by_name(bulk: Bulk, step: str) -> None:
    keys = fill(bulk)
    bulk.lost_chunks = {(step, "000001"), (step, "1-000000")}
    report = bulk.go()
    assert report["status"] == "INCOMPLETE"
    assert report["failed"] == 10
    assert report["unaccounted"] == 0
    assert {each["key"] for each in report["examples"]["failed"]} <= keys


def steps(bulk: Bulk) -> list[Any]:
    return [
        bulk.list,
        bulk.prepare,
        bulk.plan,
        bulk.transform,
        bulk.record,
        lambda: bulk.reconcile(0, None),
    ]


@pytest.mark.parametrize(
    "stopped_after",
    [4, *(pytest.param(step, marks=pytest.mark.thorough) for step in (1, 2, 3, 5, 6))],
)
def test_a_run_stopped_after_any_step_ends_the_same_and_repeats_no_shard(
    bulk: Bulk, stopped_after: int
) -> None:
    keys = fill(bulk)
    for step in steps(bulk)[:stopped_after]:
        step()
    for step in steps(bulk):
        step()
    assert_accounted(bulk, keys)
    assert bulk.report()["classified"] == 27
    assert len(bulk.transformed) == len(set(bulk.transformed))


def test_a_run_stopped_in_the_middle_of_its_job_transforms_only_the_rest(bulk: Bulk) -> None:
    fill(bulk)
    bulk.list()
    bulk.prepare()
    first = bulk.plan()
    bulk.spoil = lambda name, answer: None if name.startswith("000002") else answer
    bulk.transform()
    second = bulk.plan(execution="trial-2")
    _, names = bulk.manifest()
    assert 0 < second["objects"] < first["objects"]
    assert all(name.startswith("000002") for name in names)
    assert first["job_name"] != second["job_name"]


def test_the_same_plan_asks_for_the_same_job(bulk: Bulk) -> None:
    fill(bulk)
    bulk.list()
    bulk.prepare()
    assert bulk.plan() == bulk.plan()


def test_a_newer_version_dropped_meanwhile_keeps_its_row(bulk: Bulk) -> None:
    keys = fill(bulk)
    bulk.list()
    bulk.prepare()
    bulk.plan()
    bulk.transform()
    row = bulk.table.get("s3://images/folder/001.jpg")
    assert row is None
    # The other road writes the row of a version that came after the listing.
    bulk.put("folder/001.jpg", jpeg(200))
    other = bulk_run(name="other", started_at="2998-06-01T00:00:00.000Z")
    mine, bulk.run = bulk.run, other
    bulk.go()
    bulk.run = mine
    bulk.record()
    bulk.reconcile(0, None)
    assert Counter(entry.key for entry in bulk.ledger()) == Counter(keys)
    row = bulk.row("folder/001.jpg")
    assert row is not None
    assert row.label == "200"


def test_an_empty_folder_is_complete_with_nothing(bulk: Bulk) -> None:
    bulk.list()
    bulk.reconcile(0, None)
    report = bulk.report()
    assert (report["status"], report["listed"]) == ("COMPLETE", 0)


def test_a_direct_run_sends_the_files_themselves(bulk: Bulk) -> None:
    bulk.run = bulk_run(direct=True)
    keys = fill(bulk)
    bulk.list()
    bulk.prepare()
    plan = bulk.plan()
    prefix, names = bulk.manifest()
    assert (plan["content_type"], prefix) == ("application/x-image", "s3://images/")
    assert set(names) == keys
    for name in names:
        if "text" in name or "empty" in name or "half" in name:
            answer: dict[str, Any] = {"error": {"code": "corrupt", "message": "no image"}}
        else:
            answer = answer_of("pug") | {
                "image": {"format": "JPEG", "width": 16, "height": 17},
            }
        bulk.work.write_json(bulk.files.output(name), [answer])
    bulk.record()
    bulk.reconcile(0, None)
    assert_accounted(bulk, keys)
    assert (bulk.report()["classified"], bulk.report()["rejected"]) == (27, 3)
    row = bulk.row("folder/a b+c%20é.jpg")
    assert row is not None
    assert (row.status, row.label, row.height) == (Status.CLASSIFIED, "pug", 17)


def test_a_broken_answer_within_a_shard_is_not_its_neighbours(bulk: Bulk) -> None:
    keys = fill(bulk)

    def without_a_number(name: str, answer: bytes) -> bytes:
        return answer.replace(b'"confidence": 0.5', b'"confidence": NaN', 1)

    bulk.spoil = lambda name, answer: (
        without_a_number(name, answer) if name.startswith("000001-0000") else answer
    )
    report = bulk.go()
    assert_accounted(bulk, keys)
    assert (report["status"], report["classified"]) == ("COMPLETE", 27)
    assert report["failures"] == {"invalid_output": 1}  # of the four in that shard


LIMIT = {
    "Error": "SageMaker.ResourceLimitExceededException",
    "Cause": "The account-level service limit 'ml.m5.xlarge for transform job usage' is 0 "
    "Instances, with current utilization of 0 Instances and a request delta of 1 Instances.",
}


def test_quota_ends_the_run_in_its_first_round_and_is_the_reason_in_the_report(bulk: Bulk) -> None:
    for name in ("a", "b"):
        bulk.put(f"folder/{name}.jpg", jpeg())
    bulk.put("folder/broken.jpg", b"x")

    report = bulk.go(LIMIT)

    assert (report["status"], report["rounds"]) == ("INCOMPLETE", 1)
    assert (report["failed"], report["rejected"], report["unaccounted"]) == (2, 1, 0)
    (job,) = report["transform_jobs"]
    assert (job["status"], job["error"]) == ("NotCreated", LIMIT["Error"])
    assert job["reason"] == LIMIT["Cause"]
    assert Counter(each.fate for each in bulk.ledger()) == {Fate.FAILED: 2, Fate.REJECTED: 1}


def test_chunk_that_was_not_recorded_ends_with_a_quota_too(bulk: Bulk) -> None:
    bulk.put("folder/a.jpg", jpeg())
    bulk.lost_chunks.add(("record", "000000"))
    report = bulk.go(LIMIT)
    assert (report["rounds"], report["failed"], report["unaccounted"]) == (1, 1, 0)


def test_job_that_is_refused_for_another_reason_is_tried_in_the_second_round(bulk: Bulk) -> None:
    bulk.put("folder/a.jpg", jpeg())
    report = bulk.go({"Error": "SageMaker.AmazonSageMakerException", "Cause": "Rate exceeded"})
    assert report["rounds"] == 2
    assert [each["reason"] for each in report["transform_jobs"]] == ["Rate exceeded"] * 2


def test_inserts_that_fail_are_written_one_by_one(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def insert_listed(*_: object) -> set[str]:
        raise TransientError("ThrottlingException", "busy")

    monkeypatch.setattr(bulk.table, "insert_listed", insert_listed)
    keys = fill(bulk)
    assert bulk.go()["classified"] == 27
    assert_accounted(bulk, keys)


def test_a_chunk_of_images_with_rows_tries_inserts_once(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bulk)
    bulk.go()
    tried: list[int] = []
    insert = bulk.table.insert_listed

    def insert_listed(answers: Any) -> set[str]:
        tried.append(len(answers))
        return insert(answers)

    monkeypatch.setattr(bulk.table, "insert_listed", insert_listed)
    bulk.run = bulk_run(
        name="again", again=True, chunk_images=100, started_at="2999-06-01T00:00:00.000Z"
    )
    assert bulk.go()["classified"] == 27
    assert tried == [bulk.run.shard_images]
