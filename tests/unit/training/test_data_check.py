"""The findings about a data set, their report, and the parts it is laid out in."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagedrop.data_sets import archive_describer
from tests.unit.training.edits import EDITS
from tests.unit.training.patterns import encoded, picture, write
from training.data.check import DataCheck, Describer, check
from training.data.dataset import DataSet
from training.data.split import check_destination, lay_out, parts_of
from training.errors import TrainingError
from training.reports.data import data_page

DEMO = Path(__file__).parents[3] / "demo" / "photos"
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
    assert [(found.data.name_of(each.image), each.reason) for each in found.rejected] == [
        ("dog/<b>not an image.jpg", "not_an_image")
    ]
    assert found.counts == {"all": {"Cat": 5, "dog": 5}}
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
    assert {found.data.name_of(each) for each in leak.images} == {
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


def test_name_that_is_not_utf8_is_spelled_out_in_a_report_that_can_be_written(folder: Path) -> None:
    write(folder, os.fsdecode(b"dog/\xff.jpg"), b"text")
    found = checked(folder)
    html = data_page(found).encode("utf-8")
    assert b"dog/\\udcff.jpg" in html
    assert json.dumps(found.to_json()).isascii()


def test_photo_that_is_there_often_is_shown_a_few_times(folder: Path) -> None:
    for copy in range(20):
        write(folder, f"dog/copy {copy}.png", encoded(picture(1)))
    html = data_page(checked(folder))
    assert html.count("<img") == 12
    assert "And 9 more photos" in html


def test_film_among_the_photos_is_rejected_and_never_in_memory(folder: Path) -> None:
    film = write(folder, "dog/film.mp4", b"")
    os.truncate(film, 100_000_000)  # sparse: takes no disk
    data = DataSet.scan(folder)
    tracemalloc.start()
    found = check(data, lambda: None)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "too_many_bytes" in {each.reason for each in found.rejected}
    assert peak_bytes < 50_000_000
    assert found.manifest_sha256 == data.manifest_sha256


def test_findings_are_plain_json(folder: Path) -> None:
    content = json.loads(json.dumps(checked(folder).to_json()))
    assert content["images"] == {"all": 10}
    assert content["labels"]["all"] == {"Cat": 5, "dog": 5}


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
        "train": {"Cat": 3, "dog": 3},
        "valid": {"Cat": 1, "dog": 1},
        "test": {"Cat": 1, "dog": 1},
    }
    assert (again.rejected, again.leaks) == ((), ())


def test_parts_that_are_split_anew_keep_photos_of_one_name(tmp_path: Path) -> None:
    for number in range(4):
        part, label = ("train", "test")[number // 2], ("cat", "dog")[number % 2]
        write(tmp_path, f"old/{part}/{label}/same.png", encoded(picture(number)))
    found = checked(tmp_path / "old")
    lay_out(found, parts_of(found, 1, {"train": 1.0}), tmp_path / "new", lambda: None)
    laid_out = DataSet.scan(tmp_path / "new")
    assert {each.path.read_bytes() for each in laid_out.images} == {
        encoded(picture(number)) for number in range(4)
    }


def test_split_never_touches_what_is_there(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, "parts/mine.txt", b"mine")
    found = checked(folder)
    with pytest.raises(TrainingError, match="exists already"):
        lay_out(found, parts_of(found, 1, SHARES), tmp_path / "parts", lambda: None)
    assert (tmp_path / "parts" / "mine.txt").read_bytes() == b"mine"


def test_split_within_the_photos_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    for destination in (folder / "parts", folder / "dog" / "parts", tmp_path / "link" / "parts"):
        with pytest.raises(TrainingError, match="is inside"):
            check_destination(folder, destination)


def test_split_of_nothing_usable_says_so(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "dog/1.jpg"):
        write(tmp_path, name, b"text")
    with pytest.raises(TrainingError, match="No file in"):
        parts_of(checked(tmp_path), 1, SHARES)


def test_names_of_the_greatest_length_can_be_split_again(tmp_path: Path) -> None:
    for number, label in enumerate(("cat", "dog")):
        write(tmp_path, f"old/train/{label}/{'x' * 251}.png", encoded(picture(number)))
    found = checked(tmp_path / "old")
    lay_out(found, parts_of(found, 1, {"train": 0.5, "valid": 0.5}), tmp_path / "new", lambda: None)
    assert len(DataSet.scan(tmp_path / "new").images) == 2


def test_photo_never_takes_the_place_of_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: object) -> None:
        raise FileExistsError("A.png and a.png are one on this disk")

    found = checked(folder)
    monkeypatch.setattr(os, "link", taken)
    with pytest.raises(FileExistsError):
        lay_out(found, parts_of(found, 1, SHARES), tmp_path / "parts", lambda: None)
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


def test_file_that_cannot_be_read_is_rejected_and_the_rest_is_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refusing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "1.png":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    found = checked(folder)
    assert [each.reason for each in found.rejected] == ["unreadable", "not_an_image"]
    assert len(found.images) == 9
    assert not found.is_trustworthy


def test_class_of_which_no_photo_can_be_used_is_named(folder: Path) -> None:
    write(folder, "bird/1.jpg", b"text")
    found = checked(folder)
    assert (found.without_photos, found.is_trustworthy) == (("bird",), False)


def test_class_that_the_part_train_lacks_is_named(tmp_path: Path) -> None:
    for number, name in enumerate(("train/cat", "train/dog", "test/cat", "test/bird")):
        write(tmp_path, f"{name}/{number}.png", encoded(picture(number)))
    found = checked(tmp_path)
    assert (found.not_in_train, found.is_trustworthy) == (("bird",), False)


def test_classes_that_a_disk_takes_for_one_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, label in enumerate(("BMW", "bmw")):
        write(tmp_path, f"data/{label}/{number}.png", encoded(picture(number)))
    found = checked(tmp_path / "data")
    make = Path.mkdir

    def ignoring_case(path: Path, *arguments: Any, **options: Any) -> None:
        make(path.with_name(path.name.lower()), *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", ignoring_case)
    monkeypatch.setattr(os, "link", lambda *_: None)
    with pytest.raises(FileExistsError):
        lay_out(found, parts_of(found, 1, {"train": 1.0}), tmp_path / "parts", lambda: None)
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


def test_interrupted_split_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    found = checked(folder)
    with pytest.raises(KeyboardInterrupt):
        lay_out(found, parts_of(found, 1, SHARES), tmp_path / "parts", interrupt)
    assert [each.name for each in tmp_path.iterdir()] == ["data"]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Describer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with archive_describer(None) as describer:
            assert describer is not None
            yield describer


def demo_photo(name: str) -> Image.Image:
    photo = Image.open(DEMO / name).convert("RGB")
    photo.thumbnail((400, 400))
    return photo


@pytest.mark.thorough
def test_at_least_fourteen_of_sixteen_edits_are_found(tmp_path: Path, described: Describer) -> None:
    """An edit is found when all of its copies are; no two different photos are paired."""
    names = ("beagles.jpg", "cat.png", "flower.jpg", "pug.jpg", "rocket.jpg")
    photos = [demo_photo(name) for name in names]
    originals = [encoded(photo) for photo in photos]
    caught = []
    for edit, edited in EDITS.items():
        folder = tmp_path / edit
        for number, photo in enumerate(photos):
            write(folder, f"{('cat', 'dog')[number % 2]}/{number}.png", originals[number])
            write(folder, f"cat/{number}-copy.jpg", edited(photo))

        found = check(DataSet.scan(folder), lambda: None, described)

        groups = [{each.path.stem.removesuffix("-copy") for each in x.images} for x in found.alike]
        assert all(len(group) == 1 for group in groups), f"{edit}: two different photos"
        if len(groups) == len(photos):
            caught.append(edit)
    assert len(caught) >= 14, set(EDITS) - set(caught)


def test_wrong_labels_are_shown_with_what_they_may_be(tmp_path: Path, described: Describer) -> None:
    """Pictures of one kind have a colour in common; one of each is in the other's folder."""
    for number in range(24):
        colour, label = (("red", "cat"), ("blue", "dog"))[number % 2]
        if number in (0, 1):
            label = ("dog", "cat")[number]
        blots = picture(number)
        content = encoded(Image.blend(blots, Image.new("RGB", blots.size, colour), 0.6))
        write(tmp_path, f"{label}/{number}.png", content)

    found = check(DataSet.scan(tmp_path), lambda: None, described)

    first = {found.data.name_of(each.image): each.suggested for each in found.doubtful[:2]}
    assert first == {"dog/0.png": "cat", "cat/1.png": "dog"}
    assert [each["file"] for each in found.to_json()["doubtful_labels"][:2]] == list(first)
    page = data_page(found)
    assert "Doubtful labels" in page
    assert "dog/0.png: dog" in page.replace("<wbr>", "")


def test_a_label_of_one_photo_is_named_as_one_that_cannot_be_checked(
    tmp_path: Path, described: Describer
) -> None:
    """A copy counts as the same photo; no other photo can tell what the label looks like."""
    for number in range(12):
        write(tmp_path, f"{('cat', 'dog')[number % 2]}/{number}.png", encoded(picture(number)))
    for name in ("one.png", "copy.png"):
        write(tmp_path, f"emu/{name}", encoded(picture(99)))

    found = check(DataSet.scan(tmp_path), lambda: None, described)

    assert "emu" not in {found.data.label(each.image) for each in found.doubtful}
    assert found.undoubted == ("emu",)
    assert "cannot be checked: emu." in data_page(found)


def test_without_a_describer_only_pixels_count(folder: Path) -> None:
    assert checked(folder).doubtful == ()
