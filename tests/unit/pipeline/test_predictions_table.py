"""Against moto's DynamoDB, whose condition expressions are real; the keys are the template's."""

from __future__ import annotations

from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError

from imaging import Rejection, RejectReason
from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.answers import Answer, Prediction
from pipeline.events import NO_SEQUENCER, Change, ImageRef
from pipeline.queries import Query
from pipeline.records import Record, Status, Written
from pipeline.table_items import from_item, to_item
from tests.tables import classified, image_ref


def test_a_record_comes_back_as_it_was_written(table: PredictionsTable) -> None:
    record = classified(image_ref("incoming/a b+c%20é🐶.jpg"), confidence=0.123456)
    assert table.write(record, image_ref(record.key))
    assert table.get(record.image) == record


def test_an_answer_s_group_is_in_its_record_and_in_the_table(table: PredictionsTable) -> None:
    answer = Answer("unknown_dog", 0.4, (Prediction("beagle", 0.6),), "dogs@2", "scent_hounds")
    prepared = Rejection(RejectReason.CORRUPT, "", "JPEG", 3, 4)  # any image's facts
    record = records.classified(image_ref(), prepared, answer, "2026-11-24")
    assert record.to_json()["group"] == "scent_hounds"
    assert table.write(record, image_ref())
    assert table.get(record.image) == record


@pytest.mark.parametrize(
    "record",
    [
        records.rejected(
            image_ref(), Rejection(RejectReason.CORRUPT, "bad", "JPEG", 3, 4), "2026-11-24"
        ),
        records.deleted(image_ref(), "2026-11-24", reason="gone"),
    ],
)
def test_records_without_an_answer_survive_the_table(record: Record) -> None:
    assert from_item(to_item(record, image_ref())) == record


def test_the_longest_key_of_s3_fits_into_the_indexes(table: PredictionsTable) -> None:
    ref = image_ref("incoming/" + "x" * (1024 - len("incoming/")))
    assert table.write(classified(ref), ref)
    assert [each.key for each in table.list(Query(), limit=10).records] == [ref.key]


def test_deleted_images_are_only_listed_when_asked_for(table: PredictionsTable) -> None:
    ref = image_ref()
    table.write(records.deleted(ref, "2026-11-24"), ref)
    assert table.list(Query(), limit=10).records == []
    assert len(table.list(Query(status=Status.DELETED), limit=10).records) == 1


def test_a_duplicate_changes_nothing(table: PredictionsTable) -> None:
    ref = image_ref()
    table.write(classified(ref), ref)
    assert not table.write(classified(ref, at="2026-11-24T07:00:00.000Z"), ref)
    assert table.get(ref.image) == classified(ref)


def test_an_older_event_never_overwrites_a_newer_one(table: PredictionsTable) -> None:
    newer, older = image_ref(sequencer="0A", version="v2"), image_ref(sequencer="09")
    assert table.write(classified(newer, "boxer"), newer)
    assert not table.write(classified(older, "beagle"), older)
    assert table.get(newer.image) == classified(newer, "boxer")


def test_a_newer_event_overwrites_an_older_one(table: PredictionsTable) -> None:
    older, newer = image_ref(sequencer="09"), image_ref(sequencer="0A", version="v2")
    table.write(classified(older), older)
    assert table.write(classified(newer, "boxer"), newer)
    assert table.get(newer.image) == classified(newer, "boxer")


def test_another_model_may_answer_the_same_version(table: PredictionsTable) -> None:
    ref = image_ref()
    table.write(classified(ref), ref)
    assert table.write(classified(ref, "boxer", model="dogs@2"), ref)
    assert table.get(ref.image) == classified(ref, "boxer", model="dogs@2")


def test_a_late_creation_does_not_bring_a_deleted_image_back(table: PredictionsTable) -> None:
    marker = image_ref(sequencer="05", version="marker", change=Change.REMOVED)
    created = image_ref(sequencer="04")
    assert table.write(records.deleted(marker, "2026-11-24"), marker)
    assert not table.write(classified(created), created)


def test_erasing_an_old_version_leaves_the_row_of_the_newer_one(table: PredictionsTable) -> None:
    newer = image_ref(sequencer="02", version="v2")
    table.write(classified(newer), newer)
    erased = image_ref(sequencer="03", version="v1", change=Change.REMOVED, version_removed=True)
    assert not table.write(records.deleted(erased, "2026-11-24"), erased)
    assert table.get(newer.image) == classified(newer)


def test_erasing_the_version_that_a_row_shows_marks_it_deleted(table: PredictionsTable) -> None:
    ref = image_ref(sequencer="02")
    table.write(classified(ref), ref)
    erased = replace(ref, sequencer="03", change=Change.REMOVED, version_removed=True)
    assert table.write(records.deleted(erased, "2026-11-24"), erased)
    assert table.get(ref.image) == records.deleted(erased, "2026-11-24")


def test_a_missing_table_is_no_passing_fault(table: PredictionsTable) -> None:
    missing = PredictionsTable(boto3.client("dynamodb"), "missing")
    with pytest.raises(ClientError):
        missing.get("s3://bucket/key")


def test_many_images_are_read_together(table: PredictionsTable) -> None:
    refs = [image_ref(f"incoming/{number}.jpg") for number in range(120)]
    for ref in refs:
        table.write(classified(ref), ref)
    found = table.get_many([ref.image for ref in refs] + ["s3://bucket/missing"])
    assert found == {ref.image: classified(ref) for ref in refs}


def test_answer_carries_over_into_the_record() -> None:
    from imaging import Prepared  # noqa: PLC0415

    ref = image_ref()
    answer = Answer("boxer", 0.5, (Prediction("boxer", 0.5),), "dogs@1")
    record = records.classified(ref, Prepared(b"", "PNG", 5, 6), answer, "now")
    assert (record.label, record.model, record.width, record.status) == (
        "boxer",
        "dogs@1",
        5,
        Status.CLASSIFIED,
    )


def listed_ref(version: str = "v1", at: str = "2026-11-24T06:00:00.000Z") -> ImageRef:
    return replace(image_ref(version=version, received_at=at), sequencer=NO_SEQUENCER)


def bulk_record(ref: ImageRef, label: str = "boxer", model: str = "dogs@1") -> Record:
    return replace(classified(ref, label, model=model), source=records.Road.BULK)


def test_a_listed_image_without_a_row_gets_one(table: PredictionsTable) -> None:
    ref = listed_ref()
    assert table.write_listed(bulk_record(ref), ref) is Written.NOW
    assert table.get(ref.image) == bulk_record(ref)
    assert table.write_listed(bulk_record(ref, "pug"), ref) is Written.BEFORE
    assert table.get(ref.image) == bulk_record(ref)


def test_listed_images_without_rows_get_them_in_one_request_and_rows_stay(
    table: PredictionsTable,
) -> None:
    known, *new = (replace(listed_ref(), key=f"folder/it's {number}.jpg") for number in range(4))
    table.write_listed(bulk_record(known, "pug"), known)
    answers = [(bulk_record(ref), ref) for ref in (new[0], known, *new)]

    assert table.insert_listed(answers) == {ref.image for ref in new}

    assert table.get(known.image) == bulk_record(known, "pug")
    assert [table.get(ref.image) for ref in new] == [bulk_record(ref) for ref in new]
    assert table.insert_listed(answers) == set()


def test_a_listed_version_replaces_the_row_of_an_older_one(table: PredictionsTable) -> None:
    dropped = image_ref(version="v1", sequencer="0A")
    table.write(classified(dropped), dropped)
    ref = listed_ref("v2", at="2026-11-24T06:00:09.000Z")
    assert table.write_listed(bulk_record(ref), ref) is Written.NOW
    assert table.get(ref.image) == bulk_record(ref)


@pytest.mark.parametrize("deleted", [False, True])
def test_a_newer_drop_or_deletion_wins_over_a_listed_version(
    table: PredictionsTable, deleted: bool
) -> None:
    newer = image_ref(version="v2", sequencer="0A", received_at="2026-11-24T06:00:05.000Z")
    record = records.deleted(newer, "now") if deleted else classified(newer)
    table.write(record, newer)
    ref = listed_ref("v1")
    assert table.write_listed(bulk_record(ref), ref) is Written.NEWER_VERSION
    assert table.get(ref.image) == record


def test_an_erased_version_stays_erased(table: PredictionsTable) -> None:
    dropped = image_ref()
    table.write(classified(dropped), dropped)
    erased = image_ref(sequencer="0B", version_removed=True, change=Change.REMOVED)
    table.write(records.deleted(erased, "now"), erased)
    ref = listed_ref()
    assert table.write_listed(bulk_record(ref, model="dogs@2"), ref) is Written.NEWER_VERSION
    row = table.get(ref.image)
    assert row is not None
    assert row.status is Status.DELETED


def test_another_models_listed_answer_keeps_the_sequencer_of_the_drop(
    table: PredictionsTable,
) -> None:
    dropped = image_ref(sequencer="0A")
    table.write(classified(dropped), dropped)
    ref = listed_ref()
    rejection = Rejection(RejectReason.CORRUPT, "bad")
    assert table.write_listed(bulk_record(ref, model="dogs@2"), ref) is Written.NOW
    assert table.get(ref.image) == bulk_record(ref, model="dogs@2")
    older = image_ref(version="v0", sequencer="09")
    assert not table.write(classified(older), older)
    record = records.rejected(ref, rejection, "2026-11-24", records.Road.BULK)
    assert table.write_listed(record, ref) is Written.NOW
    assert table.get(ref.image) == record  # label, confidence and model are gone with the answer


def test_a_late_event_of_an_older_version_does_not_overwrite_a_listed_one(
    table: PredictionsTable,
) -> None:
    ref = listed_ref("v2", at="2026-11-24T06:00:09.000Z")
    table.write_listed(bulk_record(ref), ref)
    late = image_ref(version="v1", sequencer="0A", received_at="2026-11-24T06:00:01.000Z")
    assert not table.write(classified(late), late)
    own = image_ref(version="v2", sequencer="0B", received_at="2026-11-24T06:00:09.300Z")
    assert table.write(classified(own), own)


def test_an_old_version_erased_early_does_not_hide_a_newer_one(table: PredictionsTable) -> None:
    erased = image_ref(
        sequencer="03",
        version="v1",
        received_at="2026-11-24T06:00:03.000Z",
        change=Change.REMOVED,
        version_removed=True,
    )
    assert table.write(records.deleted(erased, "now"), erased)
    dropped = image_ref(sequencer="02", version="v2")
    assert table.write(classified(dropped), dropped)


def test_a_listed_version_outlives_the_early_erasure_of_another(table: PredictionsTable) -> None:
    erased = image_ref(
        sequencer="03",
        version="v1",
        received_at="2026-11-24T06:00:03.000Z",
        change=Change.REMOVED,
        version_removed=True,
    )
    table.write(records.deleted(erased, "now"), erased)
    ref = listed_ref("v2")
    assert table.write_listed(bulk_record(ref), ref) is Written.NOW
    own = listed_ref("v1")
    assert table.write_listed(bulk_record(own), own) is Written.NEWER_VERSION
