"""A folder of photos, as people lay it out, is a data set."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from imaging import Rejection
from tests.fakes import SPEC, jpeg
from training.data.dataset import DataSet, LabelledImage, load_pixels
from training.data.partition import folds, stratified_split
from training.errors import TrainingError


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(len(name)))
    return folder


def images(*counts: int) -> list[LabelledImage]:
    return [
        LabelledImage(Path(f"{label}/{number}"), label, None)
        for label, count in enumerate(counts)
        for number in range(count)
    ]


def test_folders_are_labels_and_their_photos_belong_to_them(tmp_path: Path) -> None:
    found = DataSet.scan(fill(tmp_path, "Pug/1.jpg", "Pug/more/2.jpg", "beagle/ü 1.jpg"))
    assert found.classes == ("beagle", "Pug")
    named = {each.path.name: (found.label(each), each.split) for each in found.images}
    assert named == {"1.jpg": ("Pug", None), "2.jpg": ("Pug", None), "ü 1.jpg": ("beagle", None)}


def test_the_courses_numbered_folders_and_parts_are_understood(tmp_path: Path) -> None:
    fill(tmp_path, "train/001.Affenpinscher/a.jpg", "train/002.Afghan_hound/b.jpg")
    fill(tmp_path, "valid/001.Affenpinscher/c.jpg", "test/002.Afghan_hound/d.jpg")
    found = DataSet.scan(tmp_path)
    assert found.classes == ("Affenpinscher", "Afghan_hound")
    assert [len(found.split(name)) for name in ("train", "valid", "test")] == [2, 1, 1]


def test_hidden_and_system_files_are_not_images(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.jpg", "a/.DS_Store", "a/Thumbs.db", "b/1.jpg")
    assert len(DataSet.scan(tmp_path).images) == 2


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", "secret.jpg") / "secret.jpg"
    folder = fill(tmp_path / "data", "a/1.jpg", "b/1.jpg")
    (folder / "a" / "link.jpg").symlink_to(outside)
    with pytest.raises(TrainingError, match="links to a file outside"):
        DataSet.scan(folder)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ((), "0 classes"),
        (("a/1.jpg",), "1 classes"),
        (("pug/1.jpg", "001.Pug/1.jpg", "b/1.jpg"), "both pug"),
    ],
)
def test_what_is_no_data_set_is_refused(
    tmp_path: Path, names: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(TrainingError, match=problem):
        DataSet.scan(fill(tmp_path, *names))


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="There is no folder"):
        DataSet.scan(tmp_path / "none")


def test_the_fingerprint_changes_with_a_byte_a_name_and_a_label(tmp_path: Path) -> None:
    folder = fill(tmp_path, "a/1.jpg", "b/1.jpg")
    before = DataSet.scan(folder).manifest_sha256
    assert DataSet.scan(folder).manifest_sha256 == before
    seen = {before}
    (folder / "a/1.jpg").write_bytes(jpeg(99))
    seen.add(DataSet.scan(folder).manifest_sha256)
    (folder / "a/1.jpg").rename(folder / "a/2.jpg")
    seen.add(DataSet.scan(folder).manifest_sha256)
    (folder / "a").rename(folder / "c")
    seen.add(DataSet.scan(folder).manifest_sha256)
    assert len(seen) == 4


def test_pixels_are_those_of_the_pipeline_and_a_broken_file_is_a_rejection(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "b/1.jpg").write_bytes(jpeg()[:100])
    good, broken = DataSet.scan(tmp_path).images
    pixels = load_pixels(good, SPEC)
    assert isinstance(pixels, np.ndarray)
    assert (pixels.shape, pixels.dtype) == ((SPEC.size, SPEC.size, 3), np.uint8)
    assert isinstance(load_pixels(broken, SPEC), Rejection)


def test_a_split_keeps_the_shares_in_every_class_and_is_repeatable() -> None:
    shares = {"train": 0.8, "valid": 0.1, "test": 0.1}
    given = images(10, 50, 20)
    split = stratified_split(given, 1, shares)
    counted = Counter((image.class_index, image.split) for image in split)
    assert [counted[label, "valid"] for label in range(3)] == [1, 5, 2]
    assert [counted[label, "train"] for label in range(3)] == [8, 40, 16]
    assert [image.path for image in split] == [image.path for image in given]
    assert stratified_split(given, 1, shares) == split
    assert stratified_split(given, 2, shares) != split


def test_small_classes_are_in_the_training_part_first() -> None:
    split = stratified_split(images(1, 2, 3), 0, {"train": 0.8, "valid": 0.2})
    counted = Counter((image.class_index, image.split) for image in split)
    assert counted == {
        (0, "train"): 1,
        (1, "train"): 1,
        (1, "valid"): 1,
        (2, "train"): 2,
        (2, "valid"): 1,
    }


def test_a_part_without_a_share_gets_nothing() -> None:
    shares = {"train": 0.8, "valid": 0.2, "test": 0.0}
    split = stratified_split(images(1, 2, 10), 0, shares)
    assert Counter(each.split for each in split) == {"train": 10, "valid": 3}


def test_shares_that_are_no_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="add up"):
        stratified_split(images(2), 0, {"train": 0.8})


def test_folds_are_even_within_every_class() -> None:
    given = images(8, 9, 5)
    found = folds(given, 4, seed=3)
    assert folds(given, 4, seed=3) == found
    sizes = Counter(found)
    assert set(sizes) == {0, 1, 2, 3}
    assert max(sizes.values()) - min(sizes.values()) <= 1
    for label in range(3):
        of_class = Counter(
            fold for fold, image in zip(found, given, strict=True) if image.class_index == label
        )
        assert max(of_class.values()) - min(of_class[fold] for fold in range(4)) <= 1
