"""A row for each photo."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.evaluation.judging import COLOURS, judged
from training.data.dataset import LabelledImage
from training.evaluation.measure import Predicted
from training.evaluation.rows import PhotoRow, csv_text, rows_of


def test_each_photo_has_a_row_with_its_best_labels_and_its_loss(model: Path, photos: Path) -> None:
    found = judged(model, photos)
    assert [row.path for row in found.rows] == [
        f"test/{label}/{number}.png" for label in COLOURS for number in range(4)
    ]
    (wrong,) = (row for row in found.rows if not row.is_right)
    assert (wrong.path, wrong.truth, wrong.best[0][0]) == ("test/red/0.png", "red", "blue")
    assert wrong.loss == max(row.loss for row in found.rows)
    for row, shares, truth in zip(
        found.rows, found.measured.probabilities, found.measured.truth, strict=True
    ):
        assert [share for _, share in row.best] == pytest.approx(sorted(shares, reverse=True))
        assert row.loss == pytest.approx(-np.log(shares[truth]))
    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["log_loss"] == pytest.approx(np.mean([row.loss for row in found.rows]))
    assert content["photos"][0]["best"][0]["label"] == "blue"


def test_rows_are_read_by_a_csv_reader_and_start_no_formula() -> None:
    row = PhotoRow("=1+1,\n.png", "-cat", (("-cat", 0.75), ("d\u00f6g", 0.25)), 0.5, False, None)
    (read,) = csv.DictReader(io.StringIO(csv_text([row])))
    assert read == {
        "path": "./=1+1,\n.png",
        "truth": "'-cat",
        "right": "true",
        "loss": "0.5",
        "label_1": "'-cat",
        "confidence_1": "0.75",
        "label_2": "d\u00f6g",
        "confidence_2": "0.25",
        **{f"{what}_{rank}": "" for rank in (3, 4, 5) for what in ("label", "confidence")},
        "gated": "false",
        "known_by": "",
    }


def test_loss_of_a_label_without_any_probability_is_a_number() -> None:
    image = LabelledImage(Path("data/cat/1.jpg"), 0, None)
    sure = Predicted(
        (image,), np.array([[0.0, 1.0]], np.float32), np.array([0]), np.array([False]), ()
    )
    (row,) = rows_of(sure, ("cat", "dog"), Path("data"), {})
    assert 100 < row.loss < 110
    assert row.best == (("dog", 1.0), ("cat", 0.0))
