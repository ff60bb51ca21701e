from __future__ import annotations

import json

import pytest

from pipeline.errors import UnknownEventError
from pipeline.events import Change, ImageRef, latest_of_each_image, parse_queue_body
from tests.s3_events import BUCKET, queue_body, s3_record


def ref(body: str) -> ImageRef:
    (only,) = parse_queue_body(body)
    return only


def test_created_event_becomes_a_reference_to_exactly_that_version() -> None:
    assert ref(queue_body(s3_record("incoming/dog.jpg", version="v7", size=42))) == ImageRef(
        bucket=BUCKET,
        key="incoming/dog.jpg",
        version="v7",
        versioned=True,
        sequencer="0062E99A88DC407460".ljust(40, "0"),
        size_bytes=42,
        received_at="2026-11-24T06:00:00.000Z",
        change=Change.CREATED,
    )


@pytest.mark.parametrize("key", ["incoming/a b+c%20é.jpg", "incoming/🐶.jpg", "incoming/a&b=c.jpg"])
def test_odd_keys_arrive_as_they_were_written(key: str) -> None:
    assert ref(queue_body(s3_record(key))).key == key


def test_every_record_of_a_message_is_read() -> None:
    body = queue_body(s3_record("incoming/1.jpg"), s3_record("incoming/2.jpg"))
    assert [each.key for each in parse_queue_body(body)] == ["incoming/1.jpg", "incoming/2.jpg"]


def test_the_test_event_of_a_new_notification_holds_no_image() -> None:
    assert parse_queue_body(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})) == []


def test_without_versions_the_etag_tells_the_version() -> None:
    only = ref(queue_body(s3_record(version=None)))
    assert (only.version, only.versioned) == ("d41d8cd98f00b204e9800998ecf8427e", False)


def test_a_delete_marker_hides_the_image_and_an_erased_version_is_told_apart() -> None:
    marker = ref(queue_body(s3_record(event="ObjectRemoved:DeleteMarkerCreated")))
    erased = ref(queue_body(s3_record(event="ObjectRemoved:Delete")))
    assert (marker.change, marker.version_removed) == (Change.REMOVED, False)
    assert (erased.change, erased.version_removed) == (Change.REMOVED, True)


def test_without_versions_a_removal_removes_the_image() -> None:
    assert not ref(
        queue_body(s3_record(event="ObjectRemoved:Delete", version=None))
    ).version_removed


def test_a_shorter_sequencer_is_compared_as_if_padded_with_zeros() -> None:
    short = ref(queue_body(s3_record(sequencer="00ab")))
    same_but_longer = ref(queue_body(s3_record(sequencer="00AB01")))
    assert short.sequencer < same_but_longer.sequencer


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        "{}",
        json.dumps({"Records": [{}]}),
        json.dumps({"Records": ["text"]}),
        queue_body(s3_record(event="ObjectRestore:Completed")),
    ],
)
def test_what_is_no_s3_notification_is_refused(body: str) -> None:
    with pytest.raises(UnknownEventError):
        parse_queue_body(body)


def test_a_later_change_overtakes_an_earlier_one_of_the_same_image() -> None:
    first = ref(queue_body(s3_record(version="v1", sequencer="01")))
    second = ref(queue_body(s3_record(version="v2", sequencer="02")))
    other = ref(queue_body(s3_record("incoming/other.jpg", sequencer="00")))
    assert latest_of_each_image([second, first, other, second]) == [second, other]


def test_the_erasure_of_one_version_overtakes_nothing() -> None:
    created = ref(queue_body(s3_record(version="v2", sequencer="02")))
    erased = ref(queue_body(s3_record(event="ObjectRemoved:Delete", version="v1", sequencer="03")))
    assert latest_of_each_image([created, erased]) == [created, erased]
