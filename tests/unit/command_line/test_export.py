"""`imagedrop export` writes complete files of any size, and never half of one."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arro3.io import read_parquet
from typer.testing import CliRunner, Result

from imagedrop.cli import app
from imagedrop.commands import export
from imagedrop.errors import UserError
from imagedrop.exports import FileFormat, complete_file, write_rows
from imagedrop.target import Target
from pipeline import records
from pipeline.adapters.predictions_table import PredictionsTable
from pipeline.adapters.reviews_table import ReviewsTable
from pipeline.events import ImageRef
from pipeline.records import Record, Review
from pipeline.review import Action, ReviewRequest
from tests.tables import classified, dynamodb_with_table, image_ref

AT = "2026-11-29T06:00:00.000Z"


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A table with a reviewed dog, a hostile name and a rejected file."""
    with dynamodb_with_table() as dynamodb:
        table = PredictionsTable(dynamodb, "predictions")
        for name in ("incoming/dog.jpg", "=HYPERLINK(evil).jpg"):
            ref = image_ref(name)
            table.write(classified(ref, confidence=0.123457), ref)
        ref = image_ref("incoming/odd.gif")
        table.write(records.deleted(ref, AT), ref)
        request = ReviewRequest(Action.CORRECT, "v1", "ada@example.org", AT, "pug")
        ReviewsTable(dynamodb, "predictions").review(image_ref("incoming/dog.jpg").image, request)

        class Stack(Target):
            def client(self, service: str) -> Any:
                return dynamodb

        outputs = {"ImagesBucketName": "bucket", "PredictionsTableName": "predictions"}
        target = Stack(None, outputs)  # type: ignore[arg-type]
        monkeypatch.setattr(export, "find_target", lambda _name: target)
        yield target


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["export", *words])


def test_each_format_has_every_row_with_what_a_person_said(stack: Any, tmp_path: Path) -> None:
    for name in ("rows.csv", "rows.jsonl", "rows.parquet"):
        told = run("--output", str(tmp_path / name))
        assert told.exit_code == 0, told.exception
        assert "2 rows in " in told.stderr
    with (tmp_path / "rows.csv").open(newline="") as file:
        cells = {row["key"]: row for row in csv.DictReader(file)}
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    rows = {row["key"]: row for row in map(json.loads, lines)}
    arrow = read_parquet(tmp_path / "rows.parquet").read_all()
    labels = dict(zip(arrow["key"].to_pylist(), arrow["review_label"].to_pylist(), strict=True))
    assert cells["incoming/dog.jpg"]["review_label"] == "pug"
    assert rows["incoming/dog.jpg"]["review"]["label"] == "pug"
    assert labels == {"incoming/dog.jpg": "pug", "=HYPERLINK(evil).jpg": None}
    assert list(tmp_path.glob(".*")) == []


def test_confidences_and_times_keep_their_types_in_parquet(stack: Any, tmp_path: Path) -> None:
    run("--label", "beagle", "--output", str(tmp_path / "rows.parquet"))
    arrow = read_parquet(tmp_path / "rows.parquet").read_all()
    assert arrow["confidence"].to_pylist() == [0.123457, 0.123457]
    assert arrow["predictions"].to_pylist()[0][0] == {"label": "beagle", "confidence": 0.123457}
    assert arrow["classified_at"].to_pylist()[0].isoformat() == "2026-11-24T06:00:01+00:00"


def test_a_name_that_is_a_formula_is_text_in_a_spreadsheet(stack: Any) -> None:
    told = run("--format", "csv")
    keys = [row["key"] for row in csv.DictReader(io.StringIO(told.stdout))]
    assert sorted(keys) == ["'=HYPERLINK(evil).jpg", "incoming/dog.jpg"]


def test_the_filters_of_predictions_select_the_rows(stack: Any) -> None:
    told = run("--reviewed", "--format", "jsonl")
    assert [json.loads(line)["key"] for line in told.stdout.splitlines()] == ["incoming/dog.jpg"]
    told = run("--min-confidence", "0.5", "--format", "jsonl")
    assert told.stdout == ""


def test_parquet_needs_a_file(stack: Any) -> None:
    assert isinstance(run("--format", "parquet").exception, UserError)


@pytest.mark.parametrize("format_", list(FileFormat))
def test_ctrl_c_leaves_the_former_file_and_no_half_one(tmp_path: Path, format_: FileFormat) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"former")

    def interrupted() -> Iterator[Record]:
        yield from (record_of(image_ref(f"incoming/{each}.jpg")) for each in range(5_000))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), complete_file(path) as output:
        write_rows(interrupted(), format_, output)
    assert path.read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["rows"]


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a file"), complete_file(tmp_path / "pipe"):
        raise AssertionError("it was opened")
    assert (tmp_path / "pipe").is_fifo()


def record_of(ref: ImageRef, review: Review | None = None) -> Record:
    return classified(ref)
