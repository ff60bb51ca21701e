"""The table's stream: each change counts once, whatever Lambda repeats or cuts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from changes.journal_table import JournalTable
from changes.notice_topic import NoticeTopic
from changes.notices import SHOWN, Rule
from changes.record_changes import RecordChanges
from handlers import changes
from pipeline import records
from pipeline.errors import TransientError
from pipeline.events import ImageRef
from pipeline.records import Record
from pipeline.review import Action, ReviewRequest, Reviews, reviewed
from pipeline.review_items import to_review_item
from pipeline.table_items import Item, to_item
from tests.cases import cases
from tests.tables import classified, image_ref
from tests.template_resources import resources
from tools.template import load

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

AT = "2026-11-24T06:00:01.000Z"
Measured = Callable[[], list[dict[str, Any]]]
NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
DOG, CAT = image_ref("incoming/dog.jpg"), image_ref("incoming/cat.jpg")


def item(ref: ImageRef, record: Record) -> Item:
    return to_item(record, ref)


@dataclass
class Stream:
    """A shard's changes, as the table's writes make them."""

    rows: dict[str, Item] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def write(self, ref: ImageRef, record: Record, **extra: Any) -> None:
        new = item(ref, record) | extra
        images = {"NewImage": new}
        if ref.image in self.rows:
            images["OldImage"] = self.rows[ref.image]
        self.rows[ref.image] = new
        number = str(100_000_000_000_000_000_000 + len(self.events))
        about = {"Keys": {"image": {"S": ref.image}}, "SequenceNumber": number}
        self.events.append({"eventName": "MODIFY", "dynamodb": about | images})


def some_changes() -> Stream:
    """Two images: answers, another model's answer, a review, a rejection, a deletion."""
    stream = Stream()
    stream.write(DOG, classified(DOG))
    stream.write(CAT, classified(CAT, "not_a_dog", 0.55))
    stream.write(DOG, classified(DOG, "pug", 0.99, "dogs@2", "2026-11-25T06:00:00.000Z"))
    request = ReviewRequest(Action.CONFIRM, "v1", "ada", AT)
    row = classified(DOG, "pug", 0.99, "dogs@2", "2026-11-25T06:00:00.000Z")
    stream.write(DOG, row, **to_review_item(reviewed(Reviews("v1"), row, request)))
    stream.write(CAT, records.deleted(CAT, "2026-11-25T07:00:00.000Z"))
    return stream


COUNTED = [
    {
        "day": "2026-11-24",
        "labels": {"beagle": 1, "not_a_dog": 1},
        "statuses": {"CLASSIFIED": 2},
        "reasons": {},
        "models": {"dogs@1": 2},
        "confidence": [0, 0, 0, 0, 0, 1, 0, 0, 0, 1],
    },
    {
        "day": "2026-11-25",
        "labels": {"pug": 1},
        "statuses": {"CLASSIFIED": 1, "DELETED": 1},
        "reasons": {},
        "models": {"dogs@2": 1},
        "confidence": [0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    },
]


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[DynamoDBClient]:
    with mock_aws():
        yield boto3.client("dynamodb", region_name="eu-central-1")


def new_journal(dynamodb: DynamoDBClient) -> JournalTable:
    """The template's table, empty."""
    if "journal" in dynamodb.list_tables()["TableNames"]:
        dynamodb.delete_table(TableName="journal")
    given: Any = resources()["JournalTable"]["Properties"]
    dynamodb.create_table(
        TableName="journal",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=given["KeySchema"],
        AttributeDefinitions=given["AttributeDefinitions"],
    )
    return JournalTable(dynamodb, "journal")


@pytest.fixture
def journal(dynamodb: DynamoDBClient) -> JournalTable:
    return new_journal(dynamodb)


def recorder(journal: Any, notices: NoticeTopic | None = None) -> RecordChanges:
    return RecordChanges(journal, notices, lambda: NOW, changes.left_out)


def test_answers_are_counted_by_day_and_reviews_are_not(journal: JournalTable) -> None:
    assert recorder(journal).run("one", some_changes().events) == 5
    assert journal.days("2026-11-01") == COUNTED
    assert [each["day"] for each in journal.days("2026-11-25")] == ["2026-11-25"]


def test_another_models_answer_to_the_same_version_is_no_drop(journal: JournalTable) -> None:
    recorder(journal).run("one", some_changes().events)
    dropped = journal.drops("2026-11-01")
    assert dropped.keys() == {"2026-11-24"}
    assert dropped["2026-11-24"]["statuses:CLASSIFIED"] == 2


@settings(
    max_examples=cases(25),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    batches=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), max_size=6),
    failures=st.sets(st.integers(0, 5)),
)
def test_repeats_splits_and_failures_count_every_change_once(
    dynamodb: DynamoDBClient, batches: list[tuple[int, int]], failures: set[int]
) -> None:
    """Any batches, each of which begins where everything before is done or again earlier."""
    journal = new_journal(dynamodb)
    events = some_changes().events
    done = 0
    for number, (first, length) in enumerate(batches):
        start, end = min(first, done), min(first, done) + length
        if number in failures:
            with suppress(TransientError):
                recorder(Failing(journal)).run("one", events[start:end])
            continue
        recorder(journal).run("one", events[start:end])
        done = max(done, min(end, len(events)))
    recorder(journal).run("one", events[done:])
    recorder(journal).run("one", events)
    assert journal.days("2026-11-01") == COUNTED
    assert [each["label"] for each in journal.history(DOG.image)] == ["beagle"]
    assert journal.history(CAT.image) == []


@dataclass(frozen=True, slots=True)
class Failing:
    """A journal whose counters cannot be written."""

    journal: JournalTable

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    def count(self, *_: Any) -> None:
        raise TransientError("ThrottlingException", "busy")


def test_two_calls_with_the_same_changes_count_them_once(journal: JournalTable) -> None:
    events = some_changes().events
    seen = journal.mark("one")
    recorder(journal).run("one", events)
    with pytest.raises(TransientError):
        journal.count("one", (seen, "9" * 40), {}, NOW)
    assert journal.days("2026-11-01") == COUNTED


def test_shards_count_apart(journal: JournalTable) -> None:
    events = some_changes().events
    for shard, image in (("one", DOG.image), ("two", CAT.image)):
        own = [each for each in events if each["dynamodb"]["Keys"]["image"]["S"] == image]
        recorder(journal).run(shard, own)
    assert journal.days("2026-11-01") == COUNTED


def test_a_replaced_answer_is_kept_as_it_was(journal: JournalTable) -> None:
    recorder(journal).run("one", some_changes().events[:4])
    (kept,) = journal.history(DOG.image)
    assert kept == {
        "version": "v1",
        "status": "CLASSIFIED",
        "label": "beagle",
        "confidence": 0.9,
        "model": "dogs@1",
        "classified_at": AT,
        "source": "drop",
        "reason": None,
    }


def test_nothing_of_a_deleted_image_stays(journal: JournalTable) -> None:
    stream = some_changes()
    stream.write(DOG, records.deleted(DOG, "2026-11-26T06:00:00.000Z"))
    for events in (stream.events[:3], stream.events):
        recorder(journal).run("one", events)
    assert journal.history(DOG.image) == []


def test_an_image_that_is_dropped_again_begins_a_history_of_its_own(journal: JournalTable) -> None:
    stream = some_changes()
    for day, label in ((27, "pug"), (28, "basset")):
        again = replace(CAT, version=f"v{day}")
        at = f"2026-11-{day}T06:00:00.000Z"
        stream.write(again, classified(again, label, at=at))
    recorder(journal).run("one", stream.events)
    assert [each["label"] for each in journal.history(CAT.image)] == ["pug"]


def test_a_change_that_cannot_be_read_does_not_hold_up_the_others(journal: JournalTable) -> None:
    events = [{"dynamodb": {"SequenceNumber": "1"}}, *some_changes().events]
    recorder(journal).run("one", events)
    assert journal.days("2026-11-01") == COUNTED


@dataclass(slots=True)
class Transactions:
    """A client that keeps the requests."""

    requests: list[Any] = field(default_factory=list)

    def transact_write_items(self, TransactItems: list[Any]) -> None:  # noqa: N803 - AWS's name
        self.requests += TransactItems


def test_a_batch_of_a_hundred_labels_fits_one_update() -> None:
    """4 KB and 300 operators are DynamoDB's limits for an update expression."""
    counted = [f"{kind}:{number}" for kind in ("labels", "models") for number in range(100)]
    client = Transactions()
    days = {"2026-11-24": Counter([*counted, *(f"confidence:{each}" for each in range(10))])}
    JournalTable(client, "journal").count("one", ("", "1"), days, NOW)  # type: ignore[arg-type]
    expression = client.requests[1]["Update"]["UpdateExpression"]
    assert expression.count(":") == 211
    assert len(expression) < 4096


@dataclass(slots=True)
class Sns:
    sent: list[str] = field(default_factory=list)

    def publish(self, **message: str) -> None:
        self.sent.append(message["Message"])


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("label=pug", ["incoming/dog.jpg: pug 0.990"]),
        ("min_confidence=0.85", ["incoming/dog.jpg: beagle 0.900", "incoming/dog.jpg: pug 0.990"]),
        ("folder=incoming/c", ["incoming/cat.jpg: not_a_dog 0.550"]),
        ("label=pug,min_confidence=0.995", []),
    ],
)
def test_a_notice_tells_the_rows_that_match_the_rule(
    journal: JournalTable, rule: str, found: list[str]
) -> None:
    sns = Sns()
    notices = NoticeTopic(sns, "arn:aws:sns:eu-central-1:123456789012:notices", Rule.parse(rule))  # type: ignore[arg-type]
    recorder(journal, notices).run("one", some_changes().events)
    assert "\n".join(sns.sent).splitlines() == found


@dataclass(slots=True)
class FailingSns:
    code: str

    def publish(self, **_message: str) -> None:
        raise ClientError({"Error": {"Code": self.code, "Message": ""}}, "Publish")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Measured:
    """The metrics that were written, as CloudWatch reads them."""
    # It reads its variables when it is imported.
    monkeypatch.setattr(changes.metrics.provider, "namespace", "imagedrop")
    monkeypatch.setattr(changes.metrics.provider, "service", "changes")
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_refused_notice_is_counted_and_history_and_counters_go_on(
    journal: JournalTable, caplog: pytest.LogCaptureFixture, measured: Measured
) -> None:
    notices = NoticeTopic(FailingSns("AuthorizationError"), "arn", Rule())  # type: ignore[arg-type]
    assert recorder(journal, notices).run("one", some_changes().events) == 5
    assert journal.days("2026-11-01") == COUNTED
    assert [vars(each)["error"] for each in caplog.records] == ["ClientError"]
    (line,) = measured()
    assert (line["NoticesLeftOut"], line["service"]) == ([1.0], "changes")


def test_a_busy_topic_is_tried_again_and_every_change_counts_once(journal: JournalTable) -> None:
    events = some_changes().events
    busy = NoticeTopic(FailingSns("Throttling"), "arn", Rule())  # type: ignore[arg-type]
    with pytest.raises(TransientError):
        recorder(journal, busy).run("one", events)
    sns = Sns()
    recorder(journal, NoticeTopic(sns, "arn", Rule())).run("one", events)  # type: ignore[arg-type]
    assert len(sns.sent) == 1
    assert journal.days("2026-11-01") == COUNTED


def test_a_rule_that_cannot_be_read_leaves_out_notices_alone(
    monkeypatch: pytest.MonkeyPatch, measured: Measured
) -> None:
    monkeypatch.setenv("NOTICE_RULE", "min_confidence=much")
    assert changes.notices() is None
    assert [each["NoticesLeftOut"] for each in measured()] == [[1.0]]
    monkeypatch.setenv("NOTICE_RULE", "min_confidence=0.9")
    monkeypatch.setenv("NOTICE_TOPIC_ARN", "arn")
    assert changes.notices() is not None


def test_a_notice_of_a_folder_is_short() -> None:
    sns = Sns()
    NoticeTopic(sns, "arn", Rule()).send([classified(DOG)] * 50)  # type: ignore[arg-type]
    assert len(sns.sent[0].splitlines()) == SHOWN + 1
    assert sns.sent[0].endswith("and 30 more")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("label=pug", True),
        ("folder=incoming/cats/,label=pug,min_confidence=0.9", True),
        ("min_confidence=.5,label=pug", True),
        ("label=pug,min_confidence=1.0", True),
        ("min_confidence=much", False),
        ("label=pug,min_confidence=0,9", False),
        ("min_confidence=90", False),
        ("min_confidence=nan", False),
        ("lable=pug", False),
        ("label=pug,", False),
        ("label=pug folder=cats/", False),
    ],
)
def test_the_template_takes_the_rules_that_the_function_reads(text: str, is_one: bool) -> None:
    pattern = load()["Parameters"]["NoticeRule"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, text)) is is_one
    if is_one:
        assert Rule.parse(text) != Rule()


def test_a_rule_with_a_mistyped_name_is_refused() -> None:
    with pytest.raises(ValueError, match="lable"):
        Rule.parse("lable=pug")


def test_the_history_is_json_that_other_versions_can_read(journal: JournalTable) -> None:
    journal.keep(classified(DOG))
    journal.keep(classified(DOG))
    assert json.dumps(journal.history(DOG.image)).count("beagle") == 1
