"""`imagedrop predictions` understands typed names, labels and times, or says what is missing."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from imagedrop.cli import app
from imagedrop.commands import predictions
from imagedrop.commands.predictions import print_records
from imagedrop.errors import UserError
from imagedrop.output import Format
from imagedrop.target import Target
from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.answers import Answer, Prediction
from tests.fakes import image_ref
from tests.model_archives import card
from tests.tables import classified
from tests.template_resources import create_predictions_table

COMPOSED = unicodedata.normalize("NFC", "Gänse/Café.jpg")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
MIXED = f"{COMPOSED.split('/')[0]}/{DECOMPOSED.split('/')[1]}"
LABELS = ["golden_retriever", "labrador_retriever", "pug", "BMW", "bmw", "épagneul"]


@dataclass(frozen=True, slots=True)
class Photo:
    format: str = "JPEG"
    width: int = 16
    height: int = 16


@dataclass(frozen=True, slots=True)
class Stack:
    """A predictions table in moto, and the command over it."""

    table: PredictionsTable

    def add(self, name: str, label: str = "pug", at: str = "2026-11-29T06:00:00.000Z") -> None:
        ref = image_ref(name)
        answer = Answer(label, 0.9, (Prediction(label, 0.9),), "dogs@1")
        assert self.table.write(records.classified(ref, Photo(), answer, at), ref)

    def delete(self, name: str) -> None:
        ref = image_ref(name)
        assert self.table.write(records.deleted(ref, "2026-11-29T06:00:00.000Z"), ref)

    def ask(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["predictions", *words, "--format", "jsonl"])

    def keys(self, *words: str) -> list[str]:
        told = self.ask(*words)
        assert told.exit_code == 0, told.exception
        return [
            json.loads(line)["key"].removeprefix("incoming/") for line in told.stdout.splitlines()
        ]

    def refusal(self, *words: str) -> str:
        """Returns the printed problem and next step."""
        error = self.ask(*words).exception
        assert isinstance(error, UserError)
        return f"{error} {error.next_step}"


@pytest.fixture(scope="module")
def served() -> Iterator[boto3.Session]:
    """An account with an endpoint, which no test changes."""
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        serve(session)
        yield session


@pytest.fixture
def stack(served: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    dynamodb = served.client("dynamodb")
    create_predictions_table(dynamodb, "predictions")
    outputs = {
        "ImagesBucketName": "bucket",
        "PredictionsTableName": "predictions",
        "EndpointName": "serving",
    }
    target = Target(served, outputs)
    monkeypatch.setattr(predictions, "find_target", lambda _name: target)
    yield Stack(target.predictions_table())
    dynamodb.delete_table(TableName="predictions")


def serve(session: boto3.Session) -> None:
    """A model with these labels behind the endpoint."""
    s3, sagemaker = session.client("s3"), session.client("sagemaker")
    s3.create_bucket(Bucket="models")
    body = json.dumps(card(labels=LABELS)).encode()
    s3.put_object(Bucket="models", Key="models/dogs/model.json", Body=body)
    archive = "s3://models/models/dogs/model.tar.gz"
    sagemaker.create_model(
        ModelName="serving",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/serving",
        PrimaryContainer={"Image": "serving:1", "ModelDataUrl": archive},
    )
    variant: Any = {
        "VariantName": "AllTraffic",
        "ModelName": "serving",
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
    }
    sagemaker.create_endpoint_config(EndpointConfigName="serving", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="serving", EndpointConfigName="serving")


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("2026-11-29 23:59", []),
        ("2026-11-29", ["new.jpg"]),
        ("2026-11-28T23:59+01:00", ["new.jpg", "old.jpg"]),
        ("2026-11-29T0", None),
        ("last week", None),
        ("", None),
    ],
)
def test_since_selects_rows_or_is_refused_by_name(
    stack: Stack, since: str, found: list[str] | None
) -> None:
    stack.add("old.jpg", at="2026-11-28T23:30:00.000Z")
    stack.add("new.jpg")
    if found is None:
        assert f"--since: {since!r} is not a time" in stack.refusal("--since", since)
    else:
        assert stack.keys("--since", since) == found


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("UTC0", "Since 2026-11-29 23:59:00 UTC"),
        ("CET-1", "Since 2026-11-29 23:59:00 UTC (2026-11-30 00:59:00 here)"),
    ],
)
def test_the_moment_that_was_taken_is_said_in_utc_and_in_local_time(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, zone: str, said: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        told = stack.ask("--since", "2026-11-29 23:59")
    time.tzset()
    assert said in told.stderr


def test_a_moment_in_the_future_is_said_to_be_one(stack: Stack) -> None:
    assert "in the future" in stack.ask("--since", "2999").stderr


def test_a_minimum_that_is_no_number_is_refused(stack: Stack) -> None:
    assert stack.ask("--min-confidence", "nan").exit_code == 2


@pytest.mark.parametrize("stored", [COMPOSED, DECOMPOSED, MIXED])
@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED, MIXED])
@pytest.mark.parametrize("prefix", ["", "incoming/", "s3://bucket/incoming/"])
def test_a_name_typed_in_one_unicode_form_finds_the_image_stored_in_another(
    stack: Stack, stored: str, typed: str, prefix: str
) -> None:
    stack.add(stored)
    assert stack.keys(prefix + typed) == [stored]


def test_of_two_names_that_look_the_same_the_typed_one_is_shown_and_both_are_named(
    stack: Stack,
) -> None:
    stack.add(COMPOSED)
    stack.add(DECOMPOSED)
    for typed in (COMPOSED, DECOMPOSED):
        assert stack.keys(typed) == [typed]
        told = stack.ask(typed).stderr
        assert r"Caf\u00e9.jpg" in told
        assert r"Cafe\u0301.jpg" in told


def test_when_only_other_forms_exist_both_are_named_and_asked_for(stack: Stack) -> None:
    stack.add(COMPOSED)
    stack.add(DECOMPOSED)
    refusal = stack.refusal(MIXED)
    assert "$'s3://bucket/incoming/G\\u00e4nse/Caf\\u00e9.jpg'" in refusal
    assert "$'s3://bucket/incoming/Ga\\u0308nse/Cafe\\u0301.jpg'" in refusal


def test_an_image_that_exists_goes_before_a_deleted_one_of_the_same_name(stack: Stack) -> None:
    stack.delete(DECOMPOSED)
    stack.add(COMPOSED)
    assert stack.keys(MIXED) == [COMPOSED]


@pytest.mark.parametrize(
    "option", [("--label", "pug"), ("--since", "2h"), ("--status", "rejected")]
)
def test_a_key_with_a_filter_is_refused_instead_of_ignoring_the_filter(
    stack: Stack, option: tuple[str, str]
) -> None:
    stack.add("photo.jpg")
    assert "Give a key or filters" in stack.refusal("photo.jpg", *option)


def test_a_name_without_an_image_is_an_error(stack: Stack) -> None:
    stack.add("Cafe.jpg")
    assert "There is no prediction of Café.jpg" in stack.refusal("Café.jpg")


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ("pug", "pug"),
        ("Pug", "pug"),
        ("golden retriever", "golden_retriever"),
        ("Golden-Retriever", "golden_retriever"),
        (unicodedata.normalize("NFD", "Épagneul"), "épagneul"),
        ("BMW", "BMW"),
    ],
)
def test_a_label_is_found_in_any_case_spacing_and_unicode_form(
    stack: Stack, typed: str, label: str
) -> None:
    for each in LABELS:
        stack.add(f"{each}.jpg", each)
    assert stack.keys("--label", typed) == [f"{label}.jpg"]


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("pugg", "pug"),
        ("retriever", "golden_retriever, labrador_retriever"),
        ("goldn retreiver", "golden_retriever"),
        ("Bmw", "BMW, bmw"),
        ("xyz", "The first of 6 labels: golden_retriever"),
        ("", "The first of 6 labels"),
    ],
)
def test_an_unknown_label_is_refused_with_those_near_it(
    stack: Stack, typed: str, near: str
) -> None:
    stack.add("photo.jpg")
    refusal = stack.refusal("--label", typed)
    assert f"the label {typed!r}" in refusal
    assert near in refusal


def test_a_label_of_a_former_model_is_known_while_rows_have_it(stack: Stack) -> None:
    stack.add("old.jpg", "dalmatian")
    assert stack.keys("--label", "dalmatian") == ["old.jpg"]
    assert stack.keys("--label", "dalmatian", "--min-confidence", "0.99") == []


def test_a_label_is_looked_up_only_when_nothing_matches(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(Target, "served_model", fail)
    stack.add("photo.jpg")
    assert stack.keys("--label", "pug") == ["photo.jpg"]


def test_beside_a_doubt_stands_what_is_nearest_and_never_beside_what_is_no_dog(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    sure = classified(image_ref("dog.jpg"), label="beagle", confidence=0.88)
    doubtful = replace(sure, label="unknown_dog", confidence=0.91, group="scent_hounds")
    rows = [doubtful, replace(doubtful, group=None), replace(sure, label="not_a_dog"), sure]
    print_records(rows, Format.TABLE)
    printed = capsys.readouterr().out
    assert "unknown_dog (scent_hounds, nearest beagle 0.88)" in printed
    assert "unknown_dog (nearest beagle 0.88)" in printed
    assert printed.count("nearest") == 2


def test_on_eighty_columns_a_name_stays_whole_and_the_image_file_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sure = classified(image_ref("photos/pug_sideways.jpg"), label="pug", confidence=0.96)
    doubtful = replace(sure, label="unknown_dog", group="scent_hounds")
    printed = {}
    for columns in ("80", "100"):
        monkeypatch.setenv("COLUMNS", columns)
        print_records([sure, doubtful], Format.TABLE)
        printed[columns] = capsys.readouterr().out
    assert "image file" not in printed["80"]
    assert printed["80"].count("photos/pug_sideways.jpg") == 2
    assert "image file" in printed["100"]
