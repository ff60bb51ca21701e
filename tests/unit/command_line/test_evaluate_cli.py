"""`imagedrop evaluate` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.errors import UserError
from pipeline.model_archive import check_archive
from tests.unit.training.colour_model import write_colour_model


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for part in ("valid", "test"):
        for label, colour in {"blue": "blue", "green": "lime", "red": "red"}.items():
            folder = tmp_path / "photos" / part / label
            folder.mkdir(parents=True)
            Image.new("RGB", (40, 40), colour).save(folder / "a.png")
    return tmp_path / "photos"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_reports_and_archives_are_written_and_can_be_packaged(tmp_path: Path, photos: Path) -> None:
    model, output = write_colour_model(tmp_path / "model"), tmp_path / "output"

    run(model, "--data", photos, "--calibrate", "--int8", "--output-dir", output)

    found = json.loads((output / "evaluation.json").read_text())
    assert (found["top1"], found["images"]) == (1.0, 3)
    assert (output / "evaluation.html").read_text().startswith("<!doctype html>")
    calibrated = check_archive(output / "calibrated.tar.gz").card
    assert calibrated["metrics"]["calibration"]["temperature"] < 1
    assert calibrated["metrics"]["measured_on"] == "3 photos, the part test of photos"
    assert check_archive(output / "int8.tar.gz").card["metrics"]["int8_loss_points"] == 0


def test_archive_is_measured_like_its_folder(tmp_path: Path, photos: Path) -> None:
    model = write_colour_model(tmp_path / "model")
    run(model, "--data", photos, "--calibrate", "--output-dir", tmp_path / "first")

    again = tmp_path / "second"
    run(tmp_path / "first" / "calibrated.tar.gz", "--data", photos, "--output-dir", again)

    assert json.loads((again / "evaluation.json").read_text())["top1"] == 1.0


def test_what_is_no_model_says_what_to_give(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"text")
    with pytest.raises(UserError, match="holds no model"):
        run(tmp_path / "model.tar.gz", "--data", photos, "--output-dir", tmp_path / "o")
    with pytest.raises(UserError, match="holds no model"):
        run(tmp_path, "--data", photos, "--output-dir", tmp_path / "o")
