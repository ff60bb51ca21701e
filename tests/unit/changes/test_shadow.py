"""Live images for a candidate: a stable share, after the row, and never instead of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from changes.shadow import MAX_PAYLOAD_BYTES, Shadow, Shown, ShowToCandidate
from changes.shadow_setting import SHADOW_KEY, delete_shadow, read_shadow, write_shadow
from imaging import ImageSpec, Prepared, Rejection, RejectReason
from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.answers import Answer, Prediction
from pipeline.errors import TransientError
from pipeline.events import ImageRef
from pipeline.queries import Query
from pipeline.records import CandidateAnswer, Record, Road
from pipeline.review import Action, ReviewRequest, Reviews, reviewed
from pipeline.review_items import to_review_item
from pipeline.table_items import to_item
from tests.fakes import SPEC
from tests.tables import classified, dynamodb_with_table, image_ref

CANDIDATE = "dogs@2"
NOW = "2026-11-24T06:01:00.000Z"
ALL = Shadow(CANDIDATE, SPEC, 1.0)
# Of images so large that a request takes 27 of them.
LARGE = replace(ALL, image_spec=replace(SPEC, size=224, resize=224))
A_REQUEST = 27


def event(
    ref: ImageRef, record: Record, before: Record | None = None, number: str = "1", **extra: Any
) -> Any:
    told: dict[str, Any] = {
        "Keys": {"image": {"S": ref.image}},
        "SequenceNumber": number,
        "NewImage": to_item(record, ref) | extra,
    }
    if before is not None:
        told["OldImage"] = to_item(before, ref)
    return {"eventName": "MODIFY", "dynamodb": told}


@dataclass
class Candidate:
    """The candidate's endpoint: says "pug", or what a test wants."""

    label: str = "pug"
    model: str = CANDIDATE
    error: Exception | None = None
    calls: list[int] = field(default_factory=list)
    busy_from: int = 99  # the number of the first call that is refused

    def classify(self, body: bytes, spec: ImageSpec, image_count: int) -> list[Answer]:
        assert len(body) <= MAX_PAYLOAD_BYTES + 128
        self.calls.append(image_count)
        if len(self.calls) >= self.busy_from:
            raise TransientError("ThrottlingException", "busy")
        if self.error is not None:
            raise self.error
        answer = Answer(self.label, 0.75, (Prediction(self.label, 0.75),), self.model)
        return [answer] * image_count


@dataclass
class Images:
    content: bytes | Rejection | None = b"photo"
    error: Exception | None = None
    read_refs: list[ImageRef] = field(default_factory=list)

    def read(self, ref: ImageRef) -> bytes | Rejection | None:
        self.read_refs.append(ref)
        if self.error is not None:
            raise self.error
        return self.content


@dataclass
class World:
    table: PredictionsTable
    candidate: Candidate = field(default_factory=Candidate)
    images: Images = field(default_factory=Images)
    shadow: Shadow | None = ALL
    calls_in_time: int = 99

    def show(self, *events: Any) -> dict[str, int]:
        """The counts of what is not to come again."""
        shown = self.shown(*events)
        assert shown.again_from is None
        if not shown.chosen:
            return {"chosen": 0}
        return {name: getattr(shown, name) for name in ("chosen", "answered", "disagreeing")}

    def shown(self, *events: Any) -> Shown:
        return ShowToCandidate(
            shadow=lambda: self.shadow,
            images=self.images,
            prepare=lambda _data, spec: Prepared(b"x" * spec.image_bytes, "JPEG", 16, 16),
            endpoint=self.candidate,
            rows=self.table,
            images_bucket="bucket",
            now=lambda: NOW,
        ).run(events, lambda: len(self.candidate.calls) >= self.calls_in_time)

    def drop(self, key: str = "incoming/dog.jpg", label: str = "beagle") -> tuple[ImageRef, Record]:
        ref = image_ref(key)
        record = classified(ref, label)
        assert self.table.write(record, ref)
        return ref, record

    def row(self, ref: ImageRef) -> Record:
        found = self.table.get(ref.image)
        assert found is not None
        return found


@pytest.fixture
def world() -> Iterator[World]:
    with dynamodb_with_table() as dynamodb:
        yield World(PredictionsTable(dynamodb, "predictions"))


def test_an_answer_lies_beside_the_row_and_is_no_prediction(world: World) -> None:
    ref, record = world.drop()
    counts = world.show(event(ref, record))
    assert counts == {"chosen": 1, "answered": 1, "disagreeing": 1}
    row = world.row(ref)
    assert row.candidate == CandidateAnswer("pug", 0.75, CANDIDATE, NOW)
    assert replace(row, candidate=None) == record
    assert world.images.read_refs[0].version == ref.version


def test_disagreements_can_be_listed(world: World) -> None:
    one, other, third = (
        world.drop(f"incoming/{label}.jpg", label) for label in ("pug", "beagle", "akita")
    )
    world.show(event(*one), event(*other))
    listed = {
        wanted: {
            each.label for each in world.table.list(Query(disagreement=wanted), limit=9).records
        }
        for wanted in (True, False)
    }
    assert listed == {True: {"beagle"}, False: {"pug", third[1].label}}


def test_the_same_change_again_writes_the_same(world: World) -> None:
    ref, record = world.drop()
    world.show(event(ref, record))
    row = world.row(ref)
    world.show(event(ref, record))
    assert world.row(ref) == row


def test_another_answer_of_the_row_takes_the_candidates_with_it(world: World) -> None:
    ref, record = world.drop()
    world.show(event(ref, record))
    again = classified(ref, "pug", 0.99, "dogs@3", "2026-11-25T06:00:00.000Z")
    assert world.table.write(again, ref)
    assert world.row(ref) == again
    assert world.table.list(Query(disagreement=True), limit=9).records == []


def test_an_answer_that_comes_late_is_not_written_beside_another(world: World) -> None:
    ref, record = world.drop()
    newer = replace(ref, version="v2", sequencer="02".ljust(len(ref.sequencer), "0"))
    assert world.table.write(classified(newer), newer)
    assert world.show(event(ref, record))["answered"] == 0
    assert world.row(ref).candidate is None


def test_nothing_that_an_erased_image_showed_stays(world: World) -> None:
    ref, record = world.drop()
    world.show(event(ref, record))
    gone = replace(ref, sequencer="09".ljust(len(ref.sequencer), "0"))
    assert world.table.write(records.deleted(gone, NOW), gone)
    row = world.row(ref)
    assert row.candidate is None


def test_reviews_and_a_candidates_own_writes_are_no_new_rows(world: World) -> None:
    ref, record = world.drop()
    request = ReviewRequest(Action.CONFIRM, ref.version, "ada", NOW)
    said = to_review_item(reviewed(Reviews(ref.version), record, request))
    assert world.show(event(ref, record, record, **said))["chosen"] == 0
    world.show(event(ref, record))
    shown = world.row(ref)
    assert world.show(event(ref, shown, record))["chosen"] == 0
    assert world.candidate.calls == [1]


@pytest.mark.parametrize(
    "changes",
    [{"source": Road.BULK}, {"model": CANDIDATE}],
)
def test_bulk_rows_and_the_candidates_own_are_not_shown(
    world: World, changes: dict[str, Any]
) -> None:
    ref = image_ref()
    assert world.show(event(ref, replace(classified(ref), **changes)))["chosen"] == 0


def test_rejected_and_deleted_images_are_not_shown(world: World) -> None:
    ref = image_ref()
    rejected = records.rejected(ref, Rejection(RejectReason.TRUNCATED, "cut"), NOW)
    events = event(ref, rejected), event(ref, records.deleted(ref, NOW))
    assert world.show(*events)["chosen"] == 0


def test_without_a_candidate_nothing_is_read(world: World) -> None:
    world.shadow = None
    ref, record = world.drop()
    assert world.show(event(ref, record)) == {"chosen": 0}
    assert world.images.read_refs == []


def test_requests_stay_below_the_endpoints_limit(world: World) -> None:
    dropped = [world.drop(f"incoming/{number}.jpg") for number in range(60)]
    world.shadow = LARGE
    world.show(*(event(*each) for each in dropped))
    assert sum(world.candidate.calls) == 60
    assert max(world.candidate.calls) == A_REQUEST


@pytest.mark.parametrize("content", [None, Rejection(RejectReason.ARCHIVED, "cold")])
def test_an_image_that_is_gone_is_left_out(world: World, content: Rejection | None) -> None:
    world.images.content = content
    ref, record = world.drop()
    assert world.show(event(ref, record)) == {"chosen": 1, "answered": 0, "disagreeing": 0}
    assert world.candidate.calls == []


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyError("no endpoint")])
def test_what_is_no_passing_fault_is_logged_and_left_out(
    world: World, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world.candidate.error = error
    ref, record = world.drop()
    assert world.show(event(ref, record))["answered"] == 0
    assert "the candidate gave no answers" in caplog.text
    assert world.row(ref) == record


def test_what_a_busy_service_refused_comes_again(world: World) -> None:
    world.candidate.error = TransientError("ThrottlingException", "busy")
    ref, record = world.drop()
    found = world.shown(event(ref, record, number="7"))
    assert found.answered == 0
    assert found.to_response() == {"batchItemFailures": [{"itemIdentifier": "7"}]}
    assert world.row(ref) == record


def test_what_was_answered_before_a_busy_service_does_not_come_again(world: World) -> None:
    dropped = [world.drop(f"incoming/{number}.jpg") for number in range(60)]
    world.shadow, world.candidate.busy_from = LARGE, 2
    events = [event(*each, number=str(number)) for number, each in enumerate(dropped)]
    found = world.shown(*events)
    assert (found.answered, found.again_from) == (A_REQUEST, str(A_REQUEST))
    world.candidate.busy_from = 99
    assert world.show(*events[A_REQUEST:])["answered"] == 60 - A_REQUEST


def test_no_call_begins_that_might_not_end_in_time(world: World) -> None:
    dropped = [world.drop(f"incoming/{number}.jpg") for number in range(60)]
    world.shadow, world.calls_in_time = LARGE, 1
    found = world.shown(*(event(*each, number=str(n)) for n, each in enumerate(dropped)))
    assert len(world.candidate.calls) == 1
    assert len(world.images.read_refs) == found.answered == A_REQUEST
    assert found.again_from == str(A_REQUEST)


def test_answers_of_another_model_are_not_the_candidates(world: World) -> None:
    world.candidate.model = "dogs@9"
    ref, record = world.drop()
    assert world.show(event(ref, record))["answered"] == 0


def test_a_change_that_cannot_be_read_stops_no_other(world: World) -> None:
    ref, record = world.drop()
    assert world.show({"dynamodb": {}}, event(ref, record))["answered"] == 1


def taken(share: float, names: Sequence[int] = range(4000)) -> set[int]:
    shadow = replace(ALL, share=share)
    return {name for name in names if shadow.takes(f"s3://bucket/incoming/{name}.jpg", "v1")}


def test_a_share_is_stable_and_a_larger_one_holds_it() -> None:
    assert taken(0.05) == taken(0.05) < taken(0.2) < taken(1.0)
    assert len(taken(0.05)) == pytest.approx(200, abs=45)  # three standard deviations
    assert taken(1.0) == set(range(4000))
    versions = {replace(ALL, share=0.5).takes("s3://bucket/a.jpg", f"v{n}") for n in range(99)}
    assert versions == {True, False}


def test_the_setting_is_read_as_it_was_written() -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="models")
        assert read_shadow(s3, "models") is None
        write_shadow(s3, "models", ALL)
        assert read_shadow(s3, "models") == ALL
        s3.put_object(Bucket="models", Key=SHADOW_KEY, Body=b'{"schema": 1, "share": 2}')
        with pytest.raises(ValueError, match="candidate"):
            read_shadow(s3, "models")
        delete_shadow(s3, "models")
        delete_shadow(s3, "models")
        assert read_shadow(s3, "models") is None
