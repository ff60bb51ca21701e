"""`imagedrop data pull` makes a training folder of people's reviews."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from imagedrop import reviewed_photos
from imagedrop.errors import UserError
from imagedrop.reviewed_photos import Pulled, is_folder_name, part_of, pull
from imaging import Rejection, RejectReason
from pipeline.records import Record, Review, ref_to_read
from tests.tables import classified, image_ref
from training.data.dataset import DataSet

ALL = {"train": 1.0}
PARTS = {"train": 0.8, "valid": 0.1, "test": 0.1}


def reviewed(key: str, label: str | None, action: str = "correct", at: str = "1") -> Record:
    record = classified(image_ref(f"incoming/{key}"))
    return replace(record, review=Review(label, "ada", f"2026-11-29T06:00:0{at}.000Z", action))


class Bucket:
    """Returns each photo's name as its bytes, and counts."""

    def __init__(self, **other: bytes | Rejection | None) -> None:
        self.reads: list[str] = []
        self.other = other

    def __call__(self, record: Record) -> bytes | Rejection | None:
        self.reads.append(record.key)
        return self.other.get(record.key.removeprefix("incoming/"), record.key.encode())


def pulled(folder: Path, rows: list[Record], bucket: Bucket | None = None) -> Pulled:
    return pull(rows, bucket or Bucket(), folder, ALL, lambda: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "reviewed"


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.parent.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.jpg")
    }


def test_a_photo_lies_under_the_label_that_a_person_gave(folder: Path) -> None:
    found = pulled(folder, [reviewed("a", "pug"), reviewed("b", "beagle", "confirm")])
    assert files(folder) == {"pug": b"incoming/a", "beagle": b"incoming/b"}
    assert (found.new, found.moved, found.left_out) == (2, 0, ())
    assert DataSet.scan(folder).classes == ("beagle", "pug")


def test_lineage_says_where_a_photo_comes_from_and_who_said_what(folder: Path) -> None:
    pulled(folder, [reviewed("a", "pug")])
    [photo] = json.loads((folder / "reviewed.json").read_text(encoding="utf-8"))
    sha256 = hashlib.sha256(b"incoming/a").hexdigest()
    assert photo == {
        "path": f"pug/{sha256[:16]}.jpg",
        "sha256": sha256,
        "image": "s3://bucket/incoming/a",
        "version": "v1",
        "label": "pug",
        "predicted": "beagle",
        "confidence": 0.9,
        "model": "dogs@1",
        "by": "ada",
        "at": "2026-11-29T06:00:01.000Z",
    }


def test_a_second_pull_reads_only_new_photos(folder: Path) -> None:
    pulled(folder, [reviewed("a", "pug")])
    bucket = Bucket()
    found = pulled(folder, [reviewed("b", "pug"), reviewed("a", "pug")], bucket)
    assert bucket.reads == ["incoming/b"]
    assert (found.new, len(found.photos)) == (1, 2)


def test_a_photo_moves_when_its_label_is_corrected_again(folder: Path) -> None:
    pulled(folder, [reviewed("a", "pug")])
    bucket = Bucket()
    found = pulled(folder, [reviewed("a", "beagle", at="2")], bucket)
    assert files(folder) == {"beagle": b"incoming/a"}
    assert (found.moved, bucket.reads) == (1, [])


def test_other_shares_leave_a_photo_in_its_part(folder: Path) -> None:
    rows = [reviewed(str(number), "pug") for number in range(40)]
    first = pull(rows, Bucket(), folder, PARTS, lambda: None)
    even = {"train": 0.4, "valid": 0.3, "test": 0.3}
    again = pull([*rows, reviewed("new", "pug")], Bucket(), folder, even, lambda: None)
    assert {each.path for each in first.photos} < {each.path for each in again.photos}
    assert again.moved == 0


def test_a_folder_with_parts_stays_one(folder: Path) -> None:
    pull([reviewed("a", "pug")], Bucket(), folder, PARTS, lambda: None)
    with pytest.raises(UserError, match="other parts"):
        pulled(folder, [reviewed("b", "pug")])


def test_a_photo_goes_when_a_person_says_that_no_label_fits(folder: Path) -> None:
    pulled(folder, [reviewed("a", "pug"), reviewed("b", "pug")])
    found = pulled(folder, [reviewed("a", None, "none_of_these", at="2")])
    assert files(folder) == {"pug": b"incoming/b"}
    assert [each.image for each in found.photos] == ["s3://bucket/incoming/b"]


def test_who_agrees_that_the_model_does_not_know_teaches_no_class(folder: Path) -> None:
    pulled(folder, [reviewed("a", "pug")])
    found = pulled(folder, [reviewed("a", "unknown_dog", "none_of_these", at="2")])
    assert (found.none_fits, files(folder)) == (1, {})


def test_the_lineage_beside_the_classes_is_no_file_to_complain_about(folder: Path) -> None:
    pulled(folder, [reviewed("a", "pug"), reviewed("b", "beagle")])
    assert DataSet.scan(folder).left_out == ()


def test_of_one_photo_with_two_names_the_later_review_counts(folder: Path) -> None:
    bucket = Bucket(a=b"same", b=b"same")
    pulled(folder, [reviewed("a", "pug", at="2"), reviewed("b", "beagle", at="1")], bucket)
    assert files(folder) == {"pug": b"same"}


def test_photos_that_no_label_fits_are_counted_and_claims_are_no_review(folder: Path) -> None:
    rows = [reviewed("a", None, "none_of_these"), reviewed("b", None, "claim")]
    found = pulled(folder, rows)
    assert (found.none_fits, found.photos, files(folder)) == (1, (), {})


def test_a_version_that_is_gone_is_named(folder: Path) -> None:
    large = Rejection(RejectReason.TOO_MANY_BYTES, "", None, None, None)
    found = pulled(folder, [reviewed("a", "pug"), reviewed("b", "pug")], Bucket(a=None, b=large))
    assert [(each.image, each.reason) for each in found.left_out] == [
        ("s3://bucket/incoming/a", "this version is gone"),
        ("s3://bucket/incoming/b", "too_many_bytes"),
    ]


@pytest.mark.parametrize("label", ["../up", "a/b", ".hidden", "", "a\nb", "x" * 201, "a\\b", " a"])
def test_a_typed_label_cannot_leave_the_folder(folder: Path, label: str) -> None:
    assert not is_folder_name(label)
    found = pulled(folder, [reviewed("a", label)])
    assert "cannot be a folder's name" in found.left_out[0].reason
    assert sorted(path.name for path in folder.rglob("*")) == ["reviewed.json"]


def test_a_photo_is_in_the_same_part_in_every_pull_and_shares_are_kept() -> None:
    hashes = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(2_000)]
    parts = [part_of(each, PARTS) for each in hashes]
    assert parts == [part_of(each, PARTS) for each in hashes]
    shares = {part: parts.count(part) / len(parts) for part in PARTS}
    assert shares == pytest.approx(PARTS, abs=0.03)
    assert part_of(hashes[0], ALL) is None


def test_a_folder_that_no_pull_made_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="not made by a pull"):
        pulled(folder, [reviewed("a", "pug")])
    assert [path.name for path in folder.iterdir()] == ["mine.jpg"]


def test_what_came_before_an_interruption_is_not_read_again(folder: Path) -> None:
    def stop_at_the_last(record: Record) -> bytes:
        if record.key.endswith("99"):
            raise KeyboardInterrupt
        return record.key.encode()

    rows = [reviewed(str(number), "pug") for number in range(100)]
    with pytest.raises(KeyboardInterrupt):
        pull(rows, stop_at_the_last, folder, ALL, lambda: None)
    assert len(reviewed_photos.read_lineage(folder)) == 99
    bucket = Bucket()
    pulled(folder, rows, bucket)
    assert bucket.reads == ["incoming/99"]


def test_the_version_that_was_reviewed_is_read() -> None:
    record = reviewed("a", "pug")
    ref = ref_to_read(record, record.version, "bucket")
    assert (ref.bucket, ref.key, ref.version, ref.versioned) == (
        "bucket",
        "incoming/a",
        "v1",
        True,
    )
