"""`imagedrop evaluate` as it is typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from archive.reading import check_archive, extract_archive
from imagedrop.cli import app
from imagedrop.errors import UserError
from model.package import LEARNED_PHOTOS_NAME
from tests.unit.serving.asgi_client import ask
from tests.unit.training.colour_model import write_colour_model
from training.data.dataset import file_sha256
from training.data.learned_photos import LearnedPhoto, learned_text


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for part in ("train", "valid", "test"):
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
    temperature = calibrated.metrics["calibration"]["temperature"]
    assert temperature == pytest.approx(found["calibration"]["temperature"])
    assert calibrated.metrics["measured_on"] == "3 photos, the part test of photos"
    int8 = check_archive(output / "int8.tar.gz").card.metrics
    assert int8["int8_loss_points"] == 0
    assert int8["calibration"] == calibrated.metrics["calibration"]


def test_second_evaluation_overwrites_nothing(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = write_colour_model(tmp_path / "model")

    told = [run(model, "--data", photos) for _ in range(2)]

    reports = sorted(Path("runs").glob("evaluation-*/evaluation.html"))
    assert len(reports) == 2
    for report in reports:
        assert sum(f"Report: {report}" in each for each in told) == 1


def test_leaked_photos_are_named_on_the_console_and_the_list_travels_with_the_model(
    tmp_path: Path, photos: Path
) -> None:
    model = write_colour_model(tmp_path / "model")
    leaked = photos / "test" / "red" / "a.png"
    learned = [LearnedPhoto.of(file_sha256(leaked), None, "train")]
    (model / LEARNED_PHOTOS_NAME).write_bytes(learned_text(learned))

    told = run(model, "--data", photos, "--calibrate", "--output-dir", tmp_path / "first")
    again = run(
        tmp_path / "first" / "calibrated.tar.gz", "--data", photos, "--output-dir", tmp_path / "o"
    )

    for output in (" ".join(told.split()), " ".join(again.split())):
        assert "of 3 photos the model learned from 1 and chose its epoch by 0" in output
        assert "test/red/a.png" in output
        assert "top-1 of the others 1.0000" in output


def test_a_row_for_each_photo_is_written_for_spreadsheets(tmp_path: Path, photos: Path) -> None:
    run(write_colour_model(tmp_path / "model"), "--data", photos, "--output-dir", tmp_path / "o")

    with (tmp_path / "o" / "evaluation.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["truth"], row["label_1"]) for row in rows] == [
        (f"test/{label}/a.png", label, label) for label in ("blue", "green", "red")
    ]


def test_card_of_a_model_calibrated_twice_has_the_temperature_of_both(
    tmp_path: Path, photos: Path
) -> None:
    def calibrated(model: Path, output: Path) -> tuple[Path, float, float]:
        """The archive, what was fitted now, what the card says."""
        run(model, "--data", photos, "--calibrate", "--output-dir", output)
        fitted = json.loads((output / "evaluation.json").read_text())["calibration"]["temperature"]
        card = check_archive(output / "calibrated.tar.gz").card
        noted = card.metrics["calibration"]["temperature"]
        return output / "calibrated.tar.gz", fitted, noted

    model = write_colour_model(tmp_path / "model", sharpness=1.0)
    once, first, noted_first = calibrated(model, tmp_path / "once")
    twice, second, noted_second = calibrated(once, tmp_path / "twice")

    assert first < 0.9
    assert noted_first == pytest.approx(first)
    # The same photos find nothing left to do.
    assert second == pytest.approx(1.0, rel=0.01)
    assert noted_second == pytest.approx(first * second)

    run(twice, "--data", photos, "--int8", "--output-dir", tmp_path / "int8")
    card = check_archive(tmp_path / "int8" / "int8.tar.gz").card
    assert card.metrics["calibration"]["temperature"] == pytest.approx(noted_second)


def test_calibrated_archive_answers_with_the_calibrated_confidence(
    tmp_path: Path, photos: Path
) -> None:
    model = write_colour_model(tmp_path / "model", sharpness=1.0)
    run(model, "--data", photos, "--calibrate", "--output-dir", tmp_path / "o")
    extract_archive(tmp_path / "o" / "calibrated.tar.gz", tmp_path / "served")
    photo = (photos / "test" / "red" / "a.png").read_bytes()

    def confidence(served: Path) -> float:
        response = ask(served, "POST", "/invocations", content_type="image/png", body=photo)
        (entry,) = response.json()
        assert entry["label"] == "red"
        return float(entry["confidence"])

    # Three validation photos, all right, do not speak for certainty.
    assert confidence(model) < 0.7
    assert 0.7 < confidence(tmp_path / "served") < 0.95


def test_archive_is_measured_like_its_folder(tmp_path: Path, photos: Path) -> None:
    model = write_colour_model(tmp_path / "model")
    run(model, "--data", photos, "--calibrate", "--output-dir", tmp_path / "first")

    again = tmp_path / "second"
    run(tmp_path / "first" / "calibrated.tar.gz", "--data", photos, "--output-dir", again)

    assert json.loads((again / "evaluation.json").read_text())["top1"] == 1.0


def test_what_is_no_model_says_what_to_give(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"text")
    with pytest.raises(UserError, match="is not a model"):
        run(tmp_path / "model.tar.gz", "--data", photos, "--output-dir", tmp_path / "o")
    with pytest.raises(UserError, match="is not a model"):
        run(tmp_path, "--data", photos, "--output-dir", tmp_path / "o")
