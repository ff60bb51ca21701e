"""``imagedrop bulk start --compare``: the rows that it compares, and those that it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from archive.card import ModelCard
from bulk.run import Listed
from imagedrop.commands import bulk_compare
from imagedrop.commands.filters import typed_query
from imagedrop.errors import UserError
from imagedrop.models.candidates import Candidate, abstentions
from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.answers import Answer, Prediction
from pipeline.records import Road, Status
from tests.fakes import image_ref
from tests.model_archives import card
from tests.template_resources import create_predictions_table
from tests.unit.command_line.conftest import Stack, report

MODEL = "dogs@2"
AT = "2026-11-29T06:00:00.000Z"


class Info:
    format, width, height = "JPEG", 16, 16


class Rows:
    """The table of the stack, and what a test puts into it."""

    def __init__(self, stack: Stack) -> None:
        dynamodb = stack.target.client("dynamodb")
        create_predictions_table(dynamodb, "predictions")
        self.table = PredictionsTable(dynamodb, "predictions")

    def add(self, name: str, label: str = "pug", model: str = "dogs@1", **ref: Any) -> None:
        image = replace(image_ref(name), **{"bucket": "images", **ref})
        answer = Answer(label, 0.9, (Prediction(label, 0.9),), model)
        assert self.table.write(records.classified(image, Info(), answer, AT), image)


@pytest.fixture
def rows(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Rows:
    stack.target.outputs["PredictionsTableName"] = "predictions"
    known: Any = None
    new = ModelCard.from_json(card(version="2"))
    found = Candidate(new, "s3://models/models/2/model.tar.gz", known, new)
    monkeypatch.setattr(bulk_compare, "find_candidate", lambda *_: found)
    monkeypatch.setattr(bulk_compare, "make_model", lambda *_: "imagedrop-promoted-1")
    gate = {"label": "not_a_dog", "minimum": 0.5}
    old = ModelCard.from_json(card(version="1", gate=gate))
    monkeypatch.setattr(bulk_compare, "cards_of", lambda *_: [new, old])
    return Rows(stack)


def start(stack: Stack, filters: str = "label=pug", *more: str) -> Any:
    return stack.bulk("start", "--rows", filters, "--model", MODEL, "--compare", *more)


def listed(stack: Stack) -> dict[str, Any]:
    """The lines that the workflow lists, by key, and the one execution's input."""
    ((_, started),) = stack.executions().items()
    bucket, _, key = started["source"]["uri"].removeprefix("s3://").partition("/")
    body = stack.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert key == f"work/{started['run']}/rows.jsonl"
    lines = [json.loads(line) for line in body.splitlines()]
    return {"input": started, "rows": {line["key"]: line for line in lines}}


def test_the_rows_of_the_filters_are_compared_with_their_answers_and_versions(
    stack: Stack, rows: Rows
) -> None:
    rows.add("a.jpg")
    rows.add("b c+é.jpg", label="akita")
    result = start(stack, "label=pug")
    assert result.exit_code == 0, result.output
    found = listed(stack)
    (line,) = found["rows"].values()
    one = Listed(**line)
    assert (one.bucket, one.key) == ("images", image_ref("a.jpg").key)
    assert one.version == image_ref("a.jpg").version
    assert line["live"] == {
        "label": "pug",
        "confidence": 0.9,
        "model": "dogs@1",
        "is_reviewed": False,
        "truth": None,
    }
    assert found["input"]["candidate"] == {
        "model": MODEL,
        "sagemaker_model": "imagedrop-promoted-1",
        "image_spec": card()["image_spec"],
        "abstentions": ["not_a_dog"],
    }
    assert found["input"]["source"]["filters"] == "label=pug"
    assert found["input"]["run"].startswith("compare-dogs-")


def test_what_is_left_out_is_counted(stack: Stack, rows: Rows) -> None:
    rows.add("a.jpg")
    rows.add("own.jpg", model=MODEL)
    rows.add("far.jpg", bucket="elsewhere")
    result = start(stack)
    assert "1 rows are left out: dogs@2 has already answered them" in result.stderr
    assert "1 rows of elsewhere are left out" in result.stderr
    assert "bucket=elsewhere" in result.stderr
    assert list(listed(stack)["rows"]) == [image_ref("a.jpg").key]


def test_rows_of_another_bucket_are_asked_for_by_its_name(stack: Stack, rows: Rows) -> None:
    rows.add("a.jpg")
    rows.add("far.jpg", bucket="elsewhere", version="0" * 32)
    assert start(stack, "label=pug bucket=elsewhere").exit_code == 0
    (line,) = listed(stack)["rows"].values()
    # An etag in the place of a version, where a bucket keeps none.
    assert (line["bucket"], line["versioned"]) == ("elsewhere", False)


def test_nothing_to_compare_starts_no_run(stack: Stack, rows: Rows) -> None:
    rows.add("own.jpg", model=MODEL)
    result = start(stack)
    assert isinstance(result.exception, UserError)
    assert stack.executions() == {}
    assert stack.keys("work") == []


def test_a_dry_run_writes_and_starts_nothing_and_costs_no_table_writes(
    stack: Stack, rows: Rows
) -> None:
    rows.add("a.jpg")
    result = start(stack, "label=pug", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "Nothing was uploaded or started" in result.stderr
    assert stack.executions() == {}
    assert stack.keys("work") == []


@pytest.mark.parametrize(
    "words",
    [
        ("--rows", "label=pug"),
        ("--rows", "label=pug", "--model", MODEL),
        ("--model", MODEL, "--compare"),
        ("--rows", "label=pug", "--compare"),
        ("--rows", "label=pug", "--model", MODEL, "--compare", "--direct"),
        ("--rows", "label=pug", "--model", MODEL, "--compare", "--again"),
        ("s3://images/", "--rows", "label=pug", "--model", MODEL, "--compare"),
        (),
    ],
)
def test_options_that_do_not_fit_are_refused(stack: Stack, words: tuple[str, ...]) -> None:
    result = stack.bulk("start", *words)
    assert isinstance(result.exception, UserError)
    assert stack.executions() == {}


def test_rows_without_an_answer_are_refused(stack: Stack, rows: Rows) -> None:
    result = start(stack, "status=rejected")
    assert "Only rows with an answer" in str(result.exception)


def test_filters_in_a_text_are_those_of_the_api() -> None:
    query, others = typed_query(
        "label='great dane' min_confidence=0.2 source=drop reviewed=false bucket=b", ("bucket",)
    )
    assert (query.label, query.min_confidence, query.source) == ("great dane", 0.2, Road.DROP)
    assert (query.reviewed, query.status, others) == (False, None, {"bucket": "b"})
    assert typed_query("status=classified", ())[0].status is Status.CLASSIFIED


@pytest.mark.parametrize(
    "text",
    ["label", "label=", "label=a label=b", "breed=pug", "since=soon", "label='a", "sort=newest"],
)
def test_a_text_that_is_no_filters_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--rows|filter"):
        typed_query(text, ())


def test_abstentions_are_the_labels_that_are_none_of_a_models_own() -> None:
    gated = ModelCard.from_json(card(gate={"label": "not_a_dog", "minimum": 0.5}))
    assert abstentions([gated, ModelCard.from_json(card())]) == ["not_a_dog"]


COMPARISON = {
    "compared": 2,
    "agreed": 1,
    "agreement": 0.5,
    "live_models": {"dogs@1": 2},
    "flips": [{"from": "pug", "to": "akita", "count": 1, "examples": []}],
    "reviewed": 2,
    "right": {"both": 1, "only_live": 0, "only_candidate": 1, "neither": 0},
    "accuracy": {"live": 0.5, "candidate": 1.0},
    "abstained": {"both": 0, "only_live": 0, "only_candidate": 0, "neither": 2},
    "calibration": {
        "live": {
            "images": 2,
            "ece": 0.25,
            "bins": [{"count": 2, "confidence": 0.75, "accuracy": 0.5}],
        },
        "candidate": {"images": 0, "ece": None, "bins": []},
    },
}


def test_the_report_says_agreement_accuracy_and_flips(stack: Stack) -> None:
    stack.write_report("trial", comparison=COMPARISON)
    printed = " ".join(stack.bulk("report", "trial").output.split())
    assert "same label 1 of 2" in printed
    assert "right, live 50.0% of 2 reviewed, calibration error 0.250" in printed
    assert "flip pug → akita 1" in printed
    page = stack.bulk("report", "trial", "--format", "html").output
    assert "No row was changed" in page
    assert "pug → akita" in page


def test_a_comparison_pays_for_no_rows(stack: Stack) -> None:
    stack.write_report("with")
    stack.write_report("without", comparison=COMPARISON)
    costs = [
        json.loads(stack.bulk("report", run, "--format", "json").output)["estimated_cost_dollars"]
        for run in ("with", "without")
    ]
    assert costs[1]["table"] < costs[0]["table"] / 10
    assert costs[1]["transform"] == costs[0]["transform"]
    assert report("x")["classified"] == 2
