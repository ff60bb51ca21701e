"""A run of comparison: every row is compared or named, and none is changed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bulk.begin import begin_run
from bulk.comparison import BINS, Comparison, LiveAnswer, Reliability
from bulk.ledger import Entry, Fate
from bulk.run import Listed
from imaging import ImageSpec
from pipeline.answers import Answer, Prediction
from pipeline.records import Record, Review, Road, Status, classified
from pipeline.review import Action
from pipeline.url_text import from_url_text
from tests.fakes import SPEC, jpeg
from tests.unit.bulk.conftest import NOW, Bulk, answer_of, bulk_run
from training.statistics import metrics

NOTHING = ("not_a_dog", "unknown_dog")
LIVE = "dogs@0"


def fill(bulk: Bulk, count: int = 23, wrong: int = 5) -> dict[str, Record]:
    """Rows of a model that names the first images otherwise than their pixels say."""
    lines, rows = [], {}
    for number in range(count):
        key = f"incoming/{number:03}.jpg"
        listed = Listed("images", key, bulk.put(key, jpeg(number)))
        label = "other" if number < wrong else str(number)
        answer = Answer(label, 0.5, (Prediction(label, 0.5),), LIVE, None)
        record = classified(listed.to_ref(), _Info(), answer, NOW)
        bulk.table.write(record, replace(listed.to_ref(), sequencer="01"))
        row = bulk.row(key)
        assert row is not None
        live = LiveAnswer.of(row)
        assert live is not None
        rows[key] = row
        lines.append(replace(listed, live=live.to_json()).to_json())
    bulk.run = bulk_run(
        compares=True, abstentions=NOTHING, source={"kind": "rows", "uri": "s3://work/rows.jsonl"}
    )
    bulk.work.write_lines("rows.jsonl", lines)
    return rows


class _Info:
    format, width, height = "JPEG", 16, 16


def comparison(bulk: Bulk) -> dict[str, Any]:
    found: dict[str, Any] = bulk.report()["comparison"]
    return found


def assert_untouched(bulk: Bulk, rows: dict[str, Record]) -> None:
    assert {key: bulk.row(key) for key in rows} == rows


def assert_accounted(bulk: Bulk, rows: dict[str, Record]) -> None:
    assert Counter(entry.key for entry in bulk.ledger()) == Counter(list(rows))
    report = bulk.report()
    assert (report["listed"], report["unaccounted"]) == (len(rows), 0)
    assert report["comparison"]["compared"] == report["classified"]


def test_flips_are_counted_by_pair_with_examples_and_no_row_is_touched(bulk: Bulk) -> None:
    rows = fill(bulk)
    report = bulk.go()
    assert_untouched(bulk, rows)
    assert_accounted(bulk, rows)
    assert (report["status"], report["classified"]) == ("COMPLETE", 23)
    found = comparison(bulk)
    assert (found["agreed"], found["agreement"]) == (18, 18 / 23)
    assert found["live_models"] == {LIVE: 23}
    assert [(each["from"], each["to"], each["count"]) for each in found["flips"]] == [
        ("other", str(number), 1) for number in range(5)
    ]
    (example,) = found["flips"][2]["examples"]
    assert from_url_text(example["id"]) == "s3://images/incoming/002.jpg"
    assert example["version"] == rows["incoming/002.jpg"].version
    assert found["accuracy"] == {"live": None, "candidate": None}


def test_each_row_has_both_answers_in_the_ledger(bulk: Bulk) -> None:
    fill(bulk)
    bulk.go()
    lines = [
        line for key in bulk.work.keys(bulk.files.ledgers) for line in bulk.work.read_lines(key)
    ]
    both = {line["key"]: (line["live"]["label"], line["label"]) for line in lines}
    assert both["incoming/001.jpg"] == ("other", "1")
    assert both["incoming/020.jpg"] == ("20", "20")


def test_what_cannot_be_compared_is_named(bulk: Bulk) -> None:
    rows = fill(bulk)
    version = rows["incoming/007.jpg"].version
    bulk.s3.delete_object(Bucket="images", Key="incoming/007.jpg", VersionId=version)
    report = bulk.go()
    assert_accounted(bulk, rows)
    assert_untouched(bulk, rows)
    assert (report["skips"], report["classified"]) == ({"gone": 1}, 22)


def test_an_old_version_is_compared_though_a_newer_one_lies_in_the_bucket(bulk: Bulk) -> None:
    rows = fill(bulk, wrong=0)
    bulk.put("incoming/007.jpg", jpeg(200))
    bulk.go()
    assert comparison(bulk)["flips"] == []
    assert_untouched(bulk, rows)


def test_a_second_round_counts_no_image_twice(bulk: Bulk) -> None:
    rows = fill(bulk)
    lost = {"count": 0}

    def spoil(_name: str, answer: bytes) -> bytes | None:
        lost["count"] += 1
        return None if lost["count"] in (1, 4) else answer

    bulk.spoil = spoil
    report = bulk.go()
    assert (report["status"], report["rounds"]) == ("COMPLETE", 2)
    assert_accounted(bulk, rows)
    assert (comparison(bulk)["compared"], comparison(bulk)["agreed"]) == (23, 18)


def test_a_chunk_that_is_never_recorded_has_no_part_in_the_comparison(bulk: Bulk) -> None:
    rows = fill(bulk)
    bulk.lost_chunks = {("record", "000001"), ("record", "1-000000")}
    # The function ended between its files.
    bulk.work.write_json(bulk.files.compared("000001"), Comparison(compared=10).to_json())
    report = bulk.go()
    assert (report["status"], report["failed"]) == ("INCOMPLETE", 10)
    assert_accounted_by_report(bulk, rows)


def assert_accounted_by_report(bulk: Bulk, rows: dict[str, Record]) -> None:
    report = bulk.report()
    assert report["unaccounted"] == 0
    assert report["comparison"]["compared"] == report["classified"] == len(rows) - report["failed"]


def test_steps_that_run_twice_change_nothing(bulk: Bulk) -> None:
    rows = fill(bulk)
    bulk.list()
    bulk.prepare()
    bulk.plan()
    job = bulk.transform()
    bulk.record()
    for chunk in bulk.chunks(0):
        bulk.s3.delete_object(Bucket="work", Key=bulk.files.recorded(chunk))
    bulk.prepare()
    bulk.record()
    bulk.reconcile(0, job)
    bulk.reconcile(0, job)
    assert_accounted(bulk, rows)
    assert comparison(bulk)["agreed"] == 18


def test_another_model_in_the_outputs_is_no_answer_of_the_candidate(bulk: Bulk) -> None:
    fill(bulk)
    bulk.spoil = lambda _name, answer: json.dumps(
        [answer_of(each["label"], LIVE) for each in json.loads(answer)]
    ).encode()
    report = bulk.go()
    assert report["failures"]["another_model"] == 46  # in both rounds
    assert comparison(bulk)["compared"] == 0


def review(label: str | None, action: Action) -> Review:
    return Review(label, "me", NOW, str(action))


def live(label: str, confidence: float, truth: str | None = None, **more: Any) -> LiveAnswer:
    return LiveAnswer(label, confidence, LIVE, is_reviewed=truth is not None, truth=truth, **more)


def counted(*pairs: tuple[LiveAnswer, str, float]) -> dict[str, Any]:
    total = Comparison()
    for number, (was, label, confidence) in enumerate(pairs):
        one = Comparison()
        listed = Listed("images", f"{number}.jpg", "v1")
        entry = Entry(listed.key, "v1", Fate.CLASSIFIED, label, confidence)
        one.count(was, entry, listed, NOTHING)
        total.add(Comparison.from_json(json.loads(json.dumps(one.to_json()))))
    return total.report()


def test_accuracy_counts_reviewed_rows_alone() -> None:
    found = counted(
        (live("pug", 0.9, "pug"), "pug", 0.9),
        (live("pug", 0.9, "beagle"), "beagle", 0.9),
        (live("pug", 0.9, "pug"), "beagle", 0.4),
        (live("pug", 0.9), "beagle", 0.4),
    )
    assert found["reviewed"] == 3
    assert found["right"] == {"both": 1, "only_live": 1, "only_candidate": 1, "neither": 0}
    assert found["accuracy"] == {"live": 2 / 3, "candidate": 2 / 3}
    assert (found["agreed"], found["compared"]) == (1, 4)


def test_not_one_of_these_is_right_only_for_a_model_that_names_none() -> None:
    none = LiveAnswer("pug", 0.9, LIVE, is_reviewed=True, truth=None)
    found = counted((none, "not_a_dog", 0.9), (none, "pug", 0.9), (none, "unknown_dog", 0.1))
    assert found["right"] == {"both": 0, "only_live": 0, "only_candidate": 2, "neither": 1}
    assert found["abstained"] == {"both": 0, "only_live": 0, "only_candidate": 2, "neither": 1}
    # The confidence of an abstention has another meaning: it is left out of the calibration.
    assert found["calibration"]["live"]["images"] == 3
    assert found["calibration"]["candidate"]["images"] == 1


def test_a_confirmed_abstention_is_right_in_every_models_word_for_it() -> None:
    confirmed = live("unknown_dog", 0.9, "unknown_dog")
    found = counted((confirmed, "not_a_dog", 0.9), (confirmed, "pug", 0.9))
    assert found["right"] == {"both": 1, "only_live": 1, "only_candidate": 0, "neither": 0}


def test_a_flip_keeps_few_examples_however_many_chunks_have_it() -> None:
    found = counted(*[(live("pug", 0.9), "beagle", 0.5)] * 9)
    (flip,) = found["flips"]
    assert (flip["count"], len(flip["examples"])) == (9, 4)


def test_calibration_is_that_of_the_evaluation() -> None:
    chance = np.random.default_rng(7)
    confidence = chance.uniform(0.5, 1, 400)
    truth = (chance.uniform(size=400) > confidence).astype(int)
    reliability = Reliability()
    for each, wrong in zip(confidence, truth, strict=True):
        reliability.count(float(each), is_right=not wrong)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    found = reliability.summary()
    assert metrics.CALIBRATION_BINS == BINS
    assert found["ece"] == pytest.approx(metrics.expected_calibration_error(probabilities, truth))
    bins = metrics.reliability(probabilities, truth)
    assert [each["count"] for each in found["bins"]] == [each.count for each in bins]
    assert [each["accuracy"] for each in found["bins"]] == pytest.approx(
        [each.accuracy for each in bins]
    )


@pytest.mark.parametrize(
    ("said", "is_reviewed", "truth"),
    [
        (review("pug", Action.CONFIRM), True, "pug"),
        (review("beagle", Action.CORRECT), True, "beagle"),
        (review(None, Action.NONE_OF_THESE), True, None),
        (review(None, Action.CLAIM), False, None),
        (review(None, Action.SKIP), False, None),
        (None, False, None),
    ],
)
def test_only_decisions_of_people_are_the_truth(
    said: Review | None, is_reviewed: bool, truth: str | None
) -> None:
    found = LiveAnswer.of(record(review=said))
    assert found is not None
    assert (found.is_reviewed, found.truth) == (is_reviewed, truth)


def test_a_row_without_an_answer_has_none_to_compare() -> None:
    assert LiveAnswer.of(record(status=Status.REJECTED, label=None, confidence=None)) is None


def record(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "image": "s3://images/a.jpg",
        "key": "a.jpg",
        "version": "v1",
        "status": Status.CLASSIFIED,
        "label": "pug",
        "confidence": 0.9,
        "model": LIVE,
        "source": Road.DROP,
        "bytes": 1,
        "received_at": NOW,
        "classified_at": NOW,
    }
    return Record(**{**fields, **changes})


def test_a_run_begins_with_the_candidate_that_it_was_given(bulk: Bulk) -> None:
    candidate = {
        "model": "dogs@2",
        "sagemaker_model": "imagedrop-promoted-1",
        "image_spec": SPEC.to_json(),
        "abstentions": list(NOTHING),
    }
    settings = {
        name: getattr(bulk.run, name)
        for name in (
            *("again", "direct", "instance_type", "instance_count"),
            *("max_concurrent_transforms", "chunk_images", "shard_images"),
        )
    }
    source = {"kind": "rows", "uri": "s3://work/rows.jsonl"}
    asked = {"run": "trial", "source": source, "candidate": candidate, **settings}

    def served() -> Any:
        raise AssertionError("the model that serves now was looked up")

    begun = begin_run(asked, bulk.work, served, lambda: NOW)
    assert begun == begin_run(asked, bulk.work, served, lambda: "later")
    assert (begun.model, begun.compares, begun.sagemaker_model) == (
        "dogs@2",
        True,
        "imagedrop-promoted-1",
    )
    assert begun.image_spec == ImageSpec.from_json(SPEC.to_json())
    assert list(begun.abstentions) == list(NOTHING)
