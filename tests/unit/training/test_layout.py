"""Realistic folders: which are parts, which are classes, and which are neither."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.fakes import jpeg
from training.data.dataset import DataSet
from training.data.folders import LeftOut, Reason, explain, list_folder
from training.data.layout import part_of
from training.data.partition import cross_validation
from training.errors import TrainingError


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(len(name)) if path.suffix != ".csv" else b"file,label\n")
    return folder


def left_out(data: DataSet) -> dict[str, Reason]:
    return {each.path.relative_to(data.folder).as_posix(): each.reason for each in data.left_out}


def refusal(folder: Path) -> str:
    with pytest.raises(TrainingError) as raised:
        DataSet.scan(folder)
    assert raised.value.next_step
    return str(raised.value)


@pytest.mark.parametrize(
    "names",
    [
        ("train", "valid", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "VAL", "TEST"),
        ("train", "dev", "test"),
        ("train_images", "val_images", "test_images"),
        ("training_set", "validation_set", "test_set"),
        ("trainset", "validset", "testset"),
        ("train2017", "val2017", "test2017"),
        ("Train Data", "ValidData", "Test-Data"),
    ],
)
def test_parts_are_known_in_every_usual_spelling(tmp_path: Path, names: tuple[str, ...]) -> None:
    fill(tmp_path, *(f"{name}/{label}/1.jpg" for name in names for label in ("cat", "dog")))
    found = DataSet.scan(tmp_path)
    assert found.classes == ("cat", "dog")
    assert Counter(each.split for each in found.images) == {"train": 2, "valid": 2, "test": 2}


@pytest.mark.parametrize("name", ["freight train", "test tube", "trainer", "value", "device", "2"])
def test_name_of_something_else_is_no_part(name: str) -> None:
    assert part_of(name) is None


def test_train_alone_is_a_part(tmp_path: Path) -> None:
    found = DataSet.scan(fill(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg"))
    assert (found.classes, {each.split for each in found.images}) == (("cat", "dog"), {"train"})


def test_class_may_be_called_train(tmp_path: Path) -> None:
    found = DataSet.scan(fill(tmp_path, "bus/1.jpg", "car/1.jpg", "train/1.jpg"))
    assert found.classes == ("bus", "car", "train")
    assert {each.split for each in found.images} == {None}
    parts = fill(tmp_path / "parts", "train/car/1.jpg", "train/train/1.jpg", "test/train/2.jpg")
    assert DataSet.scan(parts).classes == ("car", "train")


def test_folders_and_files_beside_the_parts_are_named_and_are_no_classes(tmp_path: Path) -> None:
    fill(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "weights/resnet50.pth", ".cache/x/1.jpg")
    fill(tmp_path, "labels.csv", "train/loose.jpg")
    found = DataSet.scan(tmp_path)
    assert (found.classes, len(found.images)) == (("a", "b"), 2)
    assert left_out(found) == {
        ".cache/x/1.jpg": Reason.SYSTEM,
        "labels.csv": Reason.NO_CLASS,
        "train/loose.jpg": Reason.NO_CLASS,
        "weights": Reason.NO_PHOTOS,
    }
    assert [each.path.name for each in found.left_out if each.is_problem] == ["loose.jpg"]


def test_photos_of_a_part_without_labels_are_named(tmp_path: Path) -> None:
    found = DataSet.scan(fill(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "test/1.jpg"))
    assert left_out(found) == {"test/1.jpg": Reason.NO_CLASS}


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("train/a/1.jpg", "train/b/1.jpg", "vaild/a/1.jpg"), "other folders with photos: vaild"),
        (("train/old/1.jpg", "bus/1.jpg", "car/1.jpg"), "other folders with photos: bus, car"),
        (("train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "valid/a/2.jpg"), "both the part valid"),
        (("train/a/1.jpg", "Training/b/1.jpg"), "both the part train"),
        (("train/1.jpg", "test/2.jpg"), "no class folders: test, train"),
        (("cat/1.jpg", "dog/1.jpg", "test/2.jpg"), "no class folders: test"),
        (("data/train/a/1.jpg", "data/test/a/1.jpg", "x/1.jpg"), "a class, a part, or the data"),
        (("cat/train/1.jpg", "cat/test/1.jpg", "dog/train/1.jpg"), "a class, a part, or the data"),
        (("images/train/1.jpg", "labels/train/1.jpg"), "a class, a part, or the data"),
        (("tr/a/1.jpg", "tr/b/1.jpg", "te/a/1.jpg", "te/b/2.jpg"), "are they parts or classes?"),
        (("learn/a/1.jpg", "learn/b/1.jpg", "eval/a/1.jpg", "eval/b/1.jpg"), "parts or classes?"),
        (("seg_train/a/1.jpg", "seg_test/a/1.jpg"), "a class, a part, or the data"),
        (("train/train/a/1.jpg", "train/train/b/1.jpg", "test/test/a/1.jpg"), "a class, a part"),
        (("data/a/1.jpg", "data/b/1.jpg"), "give that folder"),
        (("1.jpg", "2.jpg"), "Sort its photos"),
        (("train/images/1.jpg", "train/labels/1.csv"), "1 classes"),
        (("train/BMW/1.jpg", "train/vw/1.jpg", "test/bmw/1.jpg"), "both bmw"),
        (("001.Pug/1.jpg", "002.Pug/1.jpg", "b/1.jpg"), "both pug"),
    ],
)
def test_folder_that_can_be_read_in_two_ways_is_refused(
    tmp_path: Path, names: tuple[str, ...], problem: str
) -> None:
    assert problem in refusal(fill(tmp_path, *names))


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("dog/front", "dog/side", "cat/front", "cat"), ("cat", "dog")),
        (("1.5", "2.5", "3.0"), ("1.5", "2.5", "3.0")),
        (("100.g", "250.g", "2.4GHz"), ("100.g", "2.4GHz", "250.g")),
        (("0", "1", "9"), ("0", "1", "9")),
        (("n01440764", "n02102040"), ("n01440764", "n02102040")),
        (("BMW", "bmw", "Audi A4"), ("Audi A4", "BMW", "bmw")),
        (("001.Affenpinscher", "002.Afghan_hound"), ("Affenpinscher", "Afghan_hound")),
        (("3.5 inch", "v1.0", "St. Bernard"), ("3.5 inch", "St. Bernard", "v1.0")),
    ],
)
def test_names_of_classes_stay_whole_and_keep_their_case(
    tmp_path: Path, names: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    assert DataSet.scan(fill(tmp_path, *(f"{name}/1.jpg" for name in names))).classes == labels


def test_one_name_in_two_unicode_forms_is_one_class(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    fill(tmp_path, f"train/{composed}/1.jpg", f"test/{decomposed}/2.jpg", "train/tea/1.jpg")
    fill(tmp_path, f"train/{decomposed}/3.jpg")
    found = DataSet.scan(tmp_path)
    assert found.classes == (composed, "tea")
    assert len(found.images) == 4


@pytest.mark.parametrize(
    "clutter",
    [
        "__MACOSX/cat/._1.jpg",
        "cat/.ipynb_checkpoints/1-checkpoint.jpg",
        "dog/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
        "cat/.thumbnails/1.jpg",
        "$RECYCLE.BIN/1.jpg",
        "cat/Thumbs.db",
    ],
)
def test_what_systems_leave_is_no_class_and_no_photo_and_is_counted(
    tmp_path: Path, clutter: str
) -> None:
    found = DataSet.scan(fill(tmp_path, "cat/1.jpg", "dog/1.jpg", clutter))
    assert (found.classes, len(found.images)) == (("cat", "dog"), 2)
    assert left_out(found) == {clutter: Reason.SYSTEM}


def test_empty_class_is_named_and_is_no_label(tmp_path: Path) -> None:
    fill(tmp_path, "cat/1.jpg", "dog/1.jpg", "tables/1.csv")
    (tmp_path / "bird/more").mkdir(parents=True)
    found = DataSet.scan(tmp_path)
    assert found.classes == ("cat", "dog")
    assert left_out(found) == {"bird": Reason.NO_PHOTOS, "tables": Reason.NO_PHOTOS}
    parts = fill(tmp_path / "parts", "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg")
    (parts / "test/dog").mkdir()
    assert left_out(DataSet.scan(parts)) == {"test/dog": Reason.NO_PHOTOS}


def test_link_to_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", "a/1.jpg", "b/1.jpg")
    for place, target in ((folder / "c", tmp_path), (folder / "a/loop", folder)):
        place.symlink_to(target)
        assert f"{place} is a link to a folder" in refusal(folder)
        place.unlink()


def test_class_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    assert "not UTF-8" in refusal(fill(tmp_path, os.fsdecode(b"\xff/1.jpg"), "dog/1.jpg"))


def test_file_in_the_place_of_a_data_set_is_refused(tmp_path: Path) -> None:
    assert "1.jpg is a file" in refusal(fill(tmp_path, "1.jpg") / "1.jpg")


def test_links_that_lead_nowhere_and_pipes_are_named(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "a/gone.jpg").symlink_to("nothing.jpg")
    (tmp_path / "a/loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(tmp_path / "a/pipe.jpg")
    found = DataSet.scan(tmp_path)
    assert left_out(found) == {
        "a/gone.jpg": Reason.BROKEN_LINK,
        "a/loop.jpg": Reason.BROKEN_LINK,
        "a/pipe.jpg": Reason.NOT_A_FILE,
    }
    assert all(each.is_problem for each in found.left_out)


def test_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a/1.jpg", "b/1.jpg", "c/1.jpg")
    scandir = os.scandir

    def refusing(place: Path) -> object:
        if place.name == "c":
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    assert list_folder(tmp_path).left_out == (LeftOut(tmp_path / "c", Reason.UNREADABLE),)
    assert "c cannot be read" in refusal(tmp_path)


def test_photo_that_cannot_be_read_is_left_out_and_a_class_of_such_photos_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a/1.jpg", "a/2.jpg", "b/1.jpg", "c/1.jpg")
    forbidden = [tmp_path / "a/1.jpg"]
    monkeypatch.setattr(os, "access", lambda of, _: of not in forbidden)
    found = DataSet.scan(tmp_path)
    assert left_out(found) == {"a/1.jpg": Reason.UNREADABLE_FILE}
    assert not found.is_complete
    assert (len(found.images), len(found.classes)) == (3, 3)
    forbidden.append(tmp_path / "c/1.jpg")
    assert f"No photo of {tmp_path / 'c'} can be read" in refusal(tmp_path)


def test_many_problems_are_named_and_counted() -> None:
    found = [LeftOut(Path(f"{number}.jpg"), Reason.BROKEN_LINK) for number in range(12)]
    lines = explain([*found, LeftOut(Path(".x"), Reason.SYSTEM)], named=10)
    assert lines[0] == (
        "Left out: 0.jpg is a link that leads nowhere. Remove it, or put the file back."
    )
    assert lines[10:] == [
        "Left out: 2 more. Each is a link that leads nowhere.",
        "Left out 1 hidden or system files, such as .x.",
    ]


def test_more_folds_than_photos_of_a_class_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "cat/1.jpg", "cat/2.jpg", *(f"dog/{number}.jpg" for number in range(9)))
    images = DataSet.scan(tmp_path).images
    assert len(cross_validation(images, 2, seed=1)[0]) == 2
    for count in (3, 12):
        with pytest.raises(TrainingError, match="cat has only 2 different photos") as raised:
            cross_validation(images, count, seed=1)
        assert "--folds 2" in raised.value.next_step
    (tmp_path / "cat/2.jpg").unlink()
    with pytest.raises(TrainingError, match="Train without --folds"):
        cross_validation(DataSet.scan(tmp_path).images, 2, seed=1)
