"""The findings about a data set, their report, and the parts it is laid out in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.training.patterns import encoded, picture, write
from training.data_check import DataCheck, check
from training.data_report import data_page
from training.data_split import lay_out, parts_of
from training.dataset import DataSet
from training.errors import TrainingError

SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}


def checked(folder: Path) -> DataCheck:
    return check(DataSet.scan(folder), lambda: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of five, one file that is no image."""
    for number in range(10):
        label = ("001.Cat", "dog")[number % 2]
        write(tmp_path, f"data/{label}/{number}.png", encoded(picture(number)))
    write(tmp_path, "data/dog/<b>not an image.jpg", b"text")
    return tmp_path / "data"


def test_rejected_files_are_named_with_the_reason_of_every_other_place(folder: Path) -> None:
    found = checked(folder)
    assert [(found.name_of(each.image), each.reason) for each in found.rejected] == [
        ("dog/<b>not an image.jpg", "not_an_image")
    ]
    assert found.counts == {"all": {"cat": 5, "dog": 5}}
    assert found.alike == ()


def test_every_file_is_looked_at_once(folder: Path) -> None:
    looked: list[None] = []
    check(DataSet.scan(folder), lambda: looked.append(None))
    assert len(looked) == 11


def test_fingerprint_is_that_of_a_training(folder: Path) -> None:
    assert checked(folder).manifest_sha256 == DataSet.scan(folder).manifest_sha256


def test_photo_in_two_parts_is_a_leak(tmp_path: Path) -> None:
    for number in range(8):
        part, label = ("train", "test")[number // 4], ("cat", "dog")[number % 2]
        write(tmp_path, f"{part}/{label}/{number}.png", encoded(picture(number)))
    write(tmp_path, "test/cat/again.jpg", encoded(picture(0), format="JPEG", quality=60))

    found = checked(tmp_path)

    (leak,) = found.leaks
    assert {found.name_of(each) for each in leak.images} == {
        "train/cat/0.png",
        "test/cat/again.jpg",
    }
    assert (leak.is_same_file, found.conflicts) == (False, ())
    assert list(found.counts) == ["train", "test"]


def test_photo_with_two_labels_is_a_conflict(folder: Path) -> None:
    write(folder, "dog/0.png", encoded(picture(0)))
    (conflict,) = checked(folder).conflicts
    assert conflict.is_same_file
    assert not conflict.is_leak


def test_report_shows_hostile_names_as_text(folder: Path) -> None:
    write(folder, "dog/<script>alert(1)<|script>.png", encoded(picture(0)))
    html = data_page(checked(folder))
    assert "<script" not in html
    assert "<b>not" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;not an image.jpg" in html


def test_findings_are_plain_json(folder: Path) -> None:
    content = json.loads(json.dumps(checked(folder).to_json()))
    assert content["images"] == {"all": 10}
    assert content["labels"]["all"] == {"cat": 5, "dog": 5}


def test_photos_that_look_the_same_go_into_one_part(folder: Path) -> None:
    for copy in range(3):
        content = encoded(picture(1), format="JPEG", quality=90 - 20 * copy)
        write(folder, f"dog/copy {copy}.jpg", content)
    found = checked(folder)
    for seed in range(10):
        parts = parts_of(found, seed, SHARES)
        (group,) = found.alike
        assert len(group.images) == 4
        assert len({parts[image] for image in group.images}) == 1
        assert set(parts.values()) == set(SHARES)


def test_split_is_laid_out_whole_and_found_again(folder: Path, tmp_path: Path) -> None:
    found = checked(folder)
    lay_out(found, parts_of(found, 1, SHARES), tmp_path / "parts", lambda: None)

    again = checked(tmp_path / "parts")

    assert again.counts == {
        "train": {"cat": 3, "dog": 3},
        "valid": {"cat": 1, "dog": 1},
        "test": {"cat": 1, "dog": 1},
    }
    assert (again.rejected, again.leaks) == ((), ())


def test_parts_that_are_split_anew_keep_photos_of_one_name(tmp_path: Path) -> None:
    for number in range(8):
        part, label = ("train", "test")[number // 4], ("cat", "dog")[number % 2]
        write(
            tmp_path,
            f"old/{part}/{label}/same.png",
            encoded(picture(number % 4 + 4 * (number // 4))),
        )
    found = checked(tmp_path / "old")
    lay_out(found, parts_of(found, 1, {"train": 0.5, "valid": 0.5}), tmp_path / "new", lambda: None)
    assert len(DataSet.scan(tmp_path / "new").images) == len(found.images) == 4


def test_split_never_touches_what_is_there(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "parts/mine.txt", b"mine")
    found = checked(folder)
    with pytest.raises(TrainingError, match="there already"):
        lay_out(found, parts_of(found, 1, SHARES), tmp_path / "parts", lambda: None)
    assert (tmp_path / "parts" / "mine.txt").read_bytes() == b"mine"


def test_interrupted_split_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    found = checked(folder)
    with pytest.raises(KeyboardInterrupt):
        lay_out(found, parts_of(found, 1, SHARES), tmp_path / "parts", interrupt)
    assert [each.name for each in tmp_path.iterdir()] == ["data"]
