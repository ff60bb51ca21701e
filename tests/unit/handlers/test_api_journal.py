"""The API's answers from the journal: a summary by day, an image's history."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.description import description
from api.requests import id_of
from archive.card import ModelCard
from changes.row_changes import HISTORY_FIELDS, day_json, history_json
from handlers import api_stack, wiring
from pipeline.records import Record
from tests.model_archives import card as card_json
from tests.tables import classified, image_ref
from tests.unit.handlers.api_calls import call

RECORD = classified(image_ref())
FORMER = history_json(classified(image_ref(), "basset", at="2026-11-23T06:00:00.000Z"))
DAY = day_json("2026-11-29", {"labels:pug": 2, "statuses:CLASSIFIED": 2, "confidence:9": 2})


@dataclass
class Journal:
    asked: list[str] = field(default_factory=list)

    def get(self, image: str) -> Record | None:
        return RECORD if image == RECORD.image else None

    def days(self, since: str) -> list[dict[str, Any]]:
        self.asked.append(since)
        return [DAY]

    def drops(self, since: str) -> dict[str, Counter[str]]:
        self.asked.append(since)
        return {f"{datetime.now(UTC):%Y-%m-%d}": Counter({"labels:pug": 40, "labels:cat": 5})}

    def history(self, image: str) -> list[dict[str, Any]]:
        self.asked.append(image)
        return [FORMER]


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    made = Journal()
    monkeypatch.setattr(wiring, "predictions_table", lambda: made)
    monkeypatch.setattr(wiring, "journal_table", lambda: made)
    return made


def test_the_present_answer_comes_before_those_that_it_replaced(journal: Journal) -> None:
    status, answer, _ = call("GET", f"/images/{id_of(RECORD.image)}/history")
    assert status == 200
    assert [each["label"] for each in answer["versions"]] == ["beagle", "basset"]
    assert all(tuple(each) == HISTORY_FIELDS for each in answer["versions"])


def test_an_unknown_image_has_no_history(journal: Journal) -> None:
    status, _, _ = call("GET", f"/images/{id_of('s3://bucket/incoming/none.jpg')}/history")
    assert (status, journal.asked) == (404, [])


def test_a_summary_is_about_the_days_until_today(journal: Journal) -> None:
    status, answer, _ = call("GET", "/summary", {"days": "7"})
    assert (status, answer) == (200, {"days": [DAY]})
    call("GET", "/summary")
    days = [datetime.now(UTC) - timedelta(days=back) for back in (6, 29)]
    assert journal.asked == [f"{each:%Y-%m-%d}" for each in days]


@pytest.mark.parametrize("days", ["0", "401", "-1", "1.5", "9" * 5000])
def test_a_number_of_days_out_of_range_is_refused(journal: Journal, days: str) -> None:
    assert call("GET", "/summary", {"days": days})[0] == 400
    assert journal.asked == []


def test_an_unknown_parameter_is_refused(journal: Journal) -> None:
    assert call("GET", "/summary", {"day": "7"})[0] == 400


def test_the_description_has_the_fields_of_the_answers() -> None:
    schemas = description()["components"]["schemas"]
    version = schemas["History"]["properties"]["versions"]["items"]
    assert set(version["properties"]) == set(version["required"]) == set(HISTORY_FIELDS)
    day = schemas["Summary"]["properties"]["days"]["items"]
    assert set(day["properties"]) == set(day["required"]) == set(DAY)


def test_drift_is_told_for_each_day_and_against_the_models_own_photos(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = ModelCard.from_json(
        card_json(metrics={"baseline": {"labels:pug": 10, "labels:cat": 190}})
    )
    monkeypatch.setenv("ENDPOINT_NAME", "endpoint")
    monkeypatch.setattr(api_stack.clients, "client", lambda name: name)
    monkeypatch.setattr(api_stack, "served_card", lambda *_: card)
    status, answer, _ = call("GET", "/drift", {"days": "2"})
    assert status == 200
    first = datetime.now(UTC) - timedelta(days=29)
    assert journal.asked == [f"{first:%Y-%m-%d}"]
    labels = [each for each in answer["compared"] if each["what"] == "labels"]
    assert [(each["against"], each["images"], each["drifts"]) for each in labels] == [
        ("days before", 0, None),
        ("days before", 45, None),
        (card.identity, 45, True),
    ]
    required = description()["components"]["schemas"]["Drift"]["properties"]["compared"]
    assert {tuple(each) for each in answer["compared"]} == {tuple(labels[0])}
    assert set(labels[0]) == set(required["items"]["required"])
    assert {each["what"] for each in answer["compared"]} == set(
        required["items"]["properties"]["what"]["enum"]
    )
