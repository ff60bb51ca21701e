"""`imagedrop data` as it is typed: its output, its files, its exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from imagedrop.cli import app
from imagedrop.commands import data as data_cli
from imagedrop.errors import UserError
from imagedrop.target import Target
from imagedrop.target_name import TargetName
from tests.unit.training.patterns import encoded, picture, write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five photos of each of two classes, and one file that is none."""
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        label = ("cat", "dog")[number % 2]
        write(tmp_path, f"photos/{label}/{number}.png", encoded(picture(number)))
    write(tmp_path, "photos/dog/\x1b[31mnone.jpg", b"text")
    return Path("photos")


@pytest.fixture
def bucket() -> Iterator[None]:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        session = boto3.Session("test", "test", region_name="us-east-1")
        session.client("s3").create_bucket(Bucket="models")
        target = Target(session, {"ModelsBucketName": "models"})

        def found(_: TargetName) -> Target:
            return target

        patch.setattr(data_cli, "find_target", found)
        yield


def data(*words: str) -> Result:
    return CliRunner().invoke(app, ["data", *words])


def refusal(*words: str) -> str:
    error = data(*words).exception
    assert isinstance(error, UserError), error
    assert error.next_step
    return str(error)


def test_check_prints_counts_and_names_what_is_rejected(folder: Path) -> None:
    result = data("check", "photos")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "all: 10 photos of 2 classes" in result.stderr
    assert "dog/\\x1b[31mnone.jpg: not_an_image" in result.stderr
    assert json.loads(Path("data-output/data.json").read_text())["images"] == {"all": 10}
    assert "not_an_image" in Path("data-output/data.html").read_text()


def test_check_ends_with_1_for_a_photo_with_two_labels(folder: Path) -> None:
    write(folder, "dog/again.png", encoded(picture(0)))
    result = data("check", "photos")
    assert result.exit_code == 1
    assert "cat/0.png = dog/again.png" in result.stderr


def test_check_ends_with_1_for_a_photo_in_two_parts(folder: Path) -> None:
    assert data("split", "photos", "parts").exit_code == 0
    assert data("check", "parts").exit_code == 0
    photo = next(Path("parts/train/cat").iterdir())
    write(Path("parts/test/cat"), "leak.png", photo.read_bytes())
    result = data("check", "parts")
    assert result.exit_code == 1
    assert "1 in two parts" in result.stderr


def test_check_ends_with_1_when_no_file_can_be_used(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"text")
    result = data("check", "photos")
    assert result.exit_code == 1
    assert "No file is usable." in result.stderr


@pytest.mark.parametrize("shares", ["nan,50,50", "80,10", "110,-10", "1,2,3,94", "much", "inf,0"])
def test_shares_that_are_no_whole_are_refused(folder: Path, shares: str) -> None:
    assert "are not percentages" in refusal("split", "photos", "parts", "--shares", shares)
    assert not Path("parts").exists()


def test_split_says_how_many_are_where(folder: Path) -> None:
    result = data("split", "photos", "parts", "--shares", "60,40,0")
    assert "6 train / 4 valid / 0 test" in result.stderr
    assert "Left out: 1 rejected files" in result.stderr


def test_place_that_is_taken_is_told_before_photos_are_looked_at(folder: Path) -> None:
    Path("parts").mkdir()
    result = data("split", "photos", "parts")
    assert "exists already" in str(result.exception)
    assert "looked at" not in result.stderr


def test_disk_that_refuses_is_told_without_a_traceback(folder: Path) -> None:
    Path("file").write_text("")
    assert "file" in refusal("check", "photos", "--output-dir", "file")


def test_what_is_left_out_is_named_and_ends_with_1_where_it_may_be_a_photo(folder: Path) -> None:
    write(folder, "__MACOSX/dog/._1.png", b"\0")
    write(folder, "README.txt", b"text")
    (folder / "bird").mkdir()
    result = data("check", "photos")
    assert result.exit_code == 0
    assert "Left out 1 hidden or system files, such as photos/__MACOSX/dog/._1.png" in result.stderr
    assert "photos/bird holds no photos, so it is no class" in result.stderr
    assert "photos/README.txt is in no class folder" in result.stderr
    reasons = json.loads(Path("data-output/data.json").read_text())["left_out"]
    assert [each["file"] for each in reasons] == ["README.txt", "__MACOSX/dog/._1.png", "bird"]
    write(folder, "loose.png", encoded(picture(30)))
    assert data("check", "photos").exit_code == 1
    assert data("split", "photos", "parts").exit_code == 1
    assert Path("parts/train/cat").is_dir()


def test_upload_prints_the_address_alone(folder: Path, bucket: None) -> None:
    (folder / "dog/\x1b[31mnone.jpg").unlink()
    first, second = data("upload", "photos"), data("upload", "photos")
    assert first.stdout == second.stdout == "s3://models/training/data/photos/\n"
    assert "10 sent, 0 were there already" in first.stderr
    assert "0 sent, 10 were there already" in second.stderr


@pytest.mark.parametrize("name", ["../models", "a/b", ".hidden"])
def test_name_that_could_lead_elsewhere_is_refused(folder: Path, bucket: None, name: str) -> None:
    assert "is not a valid name" in refusal("upload", "photos", name)
