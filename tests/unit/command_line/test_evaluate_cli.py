"""`imagedrop evaluate` as it is typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from archive.reading import check_archive, extract_archive
from archive.uncertainty import Unknown
from imagedrop.cli import app
from imagedrop.errors import UserError
from model.package import LEARNED_PHOTOS_NAME
from tests.unit.serving.asgi_client import ask
from tests.unit.training.colour_model import write_colour_model
from training.data.dataset import DataSet, file_sha256
from training.data.learned_photos import LearnedPhoto, Use, learned_text


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


def test_leaks_beyond_the_remark_are_named(tmp_path: Path, photos: Path) -> None:
    """The first line says that `valid` chose the epoch, not that one of its photos was learned."""
    manifest = DataSet.scan(photos).manifest_sha256
    model = write_colour_model(tmp_path / "model", training_run={"data_manifest_sha256": manifest})
    uses: dict[str, Use] = {"blue": "valid", "green": "valid", "red": "train"}
    learned = [
        LearnedPhoto.of(file_sha256(photos / "valid" / label / "a.png"), None, use)
        for label, use in uses.items()
    ]
    (model / LEARNED_PHOTOS_NAME).write_bytes(learned_text(learned))

    told = run(model, "--data", photos, "--split", "valid", "--output-dir", tmp_path / "o")

    assert "chose its epoch by them" in " ".join(told.split())
    assert "learned from 1 and chose its epoch by 2" in " ".join(told.split())


def test_photos_that_the_model_learned_from_calibrate_no_archive(
    tmp_path: Path, photos: Path
) -> None:
    manifest = DataSet.scan(photos).manifest_sha256
    model = write_colour_model(tmp_path / "model", training_run={"data_manifest_sha256": manifest})
    output = tmp_path / "o"
    arguments = ["--data", photos, "--split", "train", "--output-dir", output]
    with pytest.raises(UserError, match="the model learned from them"):
        run(model, *arguments, "--calibrate")
    assert (output / "evaluation.json").is_file()
    assert not (output / "calibrated.tar.gz").exists()
    assert "no temperature is fitted" in " ".join(run(model, *arguments).split())


def test_calibration_keeps_the_verdicts_of_the_rule_unknown_and_what_is_known_of_the_gate(
    tmp_path: Path, photos: Path
) -> None:
    gate = {"photos": 99, "refused": 0.01}
    model = write_colour_model(
        tmp_path / "model",
        sharpness=1.0,
        unknown=Unknown("unknown_colour", 2, (0.5, 0.9), 39),
        metrics={"gate": gate, "top1": 0.1},
    )

    run(model, "--data", photos, "--calibrate", "--output-dir", tmp_path / "o")

    extract_archive(tmp_path / "o" / "calibrated.tar.gz", tmp_path / "served")
    card = check_archive(tmp_path / "o" / "calibrated.tar.gz").card
    temperature = card.metrics["calibration"]["temperature"]
    assert temperature < 0.9
    assert card.unknown is not None
    assert card.unknown.lowest_leads == pytest.approx((0.5 / temperature, 0.9 / temperature))
    assert card.metrics["gate"] == gate
    assert card.metrics["top1"] == 1.0

    def label_of(served: Path, red: int) -> str:
        file = tmp_path / "asked.png"
        Image.new("RGB", (40, 40), (red, 0, 0)).save(file)
        body = file.read_bytes()
        (entry,) = ask(served, "POST", "/invocations", content_type="image/png", body=body).json()
        return str(entry["label"])

    # Leads of .86 and .94 nats before the calibration: on either side of .9.
    for red, label in ((220, "unknown_colour"), (240, "red")):
        assert label_of(model, red) == label_of(tmp_path / "served", red) == label


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


def test_photos_of_other_things_that_get_a_name_are_counted_and_shown(
    tmp_path: Path, photos: Path
) -> None:
    """By the whole answer: also what only the rule `unknown` refuses has no name."""
    unknown = Unknown("unknown_colour", 2, (0.5, 0.9), 39)
    model = write_colour_model(tmp_path / "model", unknown=unknown)
    others = tmp_path / "others"
    (others / "more").mkdir(parents=True)
    for name, colour in {"a.png": "grey", "b.png": "black", "more/c.png": "red"}.items():
        Image.new("RGB", (40, 40), colour).save(others / name)
    (others / "list.csv").write_text("no photo")

    said = run(model, "--data", photos, "--others", others, "--output-dir", tmp_path / "o")

    assert "others    0.3333 of 3 photos of other things get a name  (95 %: 0.061 to 0.792)" in said
    found = json.loads((tmp_path / "o" / "evaluation.json").read_text())["others"]
    (named,) = found["named_photos"]
    assert (named["path"], named["label"]) == ("more/c.png", "red")
    assert len(found["rejected"]) == 1
    page = (tmp_path / "o" / "evaluation.html").read_text().replace("<wbr>", "")
    assert "Other things that get a name (1)" in page
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no photos in"):
        run(model, "--data", photos, "--others", tmp_path / "empty")
