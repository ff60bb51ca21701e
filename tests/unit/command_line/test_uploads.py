"""The uploader sends only new content, and neither corrupts nor loses any."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imagedrop import uploads
from imagedrop.errors import UserError
from imagedrop.uploads import Sent, Upload, objects_below, plan_uploads, upload_all
from tests.kms_etags import answer_as_kms

BUCKET = "images"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    answer_as_kms(monkeypatch)
    with mock_aws():
        client = boto3.client(
            "s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client


@pytest.fixture
def photo(tmp_path: Path) -> Upload:
    path = tmp_path / "dog.jpg"
    path.write_bytes(b"a dog")
    return Upload(path, "folders/dogs/dog.jpg")


def sent(s3: Any, *files: Upload) -> list[Sent]:
    """Uploads a folder after listing the existing objects; returns the results."""
    return list(upload_all(s3, BUCKET, files, objects_below(s3, BUCKET, "")))


def test_the_double_answers_as_kms(s3: Any, photo: Upload) -> None:
    sent(s3, photo)
    etag = s3.head_object(Bucket=BUCKET, Key=photo.key)["ETag"].strip('"')
    (listed,) = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert etag != hashlib.md5(b"a dog", usedforsecurity=False).hexdigest()
    assert listed["ETag"].strip('"') == etag


def test_object_says_the_sha256_of_its_bytes(s3: Any, photo: Upload) -> None:
    (first,) = sent(s3, photo)
    found = s3.head_object(Bucket=BUCKET, Key=photo.key)
    assert found["Metadata"]["sha256"] == hashlib.sha256(b"a dog").hexdigest() == first.sha256
    assert (found["ContentType"], found["VersionId"]) == ("image/jpeg", first.version)


def test_same_content_is_left_alone_and_other_content_is_not(s3: Any, photo: Upload) -> None:
    sent(s3, photo)
    (again,) = sent(s3, photo)
    assert (again.is_new, again.version, again.error) == (False, None, None)
    photo.path.write_bytes(b"a cat")  # of the same size
    (other,) = sent(s3, photo)
    assert other.is_new
    assert s3.get_object(Bucket=BUCKET, Key=photo.key)["Body"].read() == b"a cat"


def test_send_makes_a_version_each_time_that_the_others_trust(s3: Any, photo: Upload) -> None:
    first, second = (next(upload_all(s3, BUCKET, [photo])) for _ in range(2))
    assert first.version != second.version
    assert not sent(s3, photo)[0].is_new


def test_metadata_alone_is_not_trusted(s3: Any, photo: Upload) -> None:
    """An object that lost bytes, or was copied with another's metadata, has another size."""
    digest = hashlib.sha256(b"a dog").hexdigest()
    s3.put_object(Bucket=BUCKET, Key=photo.key, Body=b"a d", Metadata={"sha256": digest})
    assert sent(s3, photo)[0].is_new


def test_object_deleted_after_the_listing_is_uploaded(s3: Any, photo: Upload) -> None:
    (result,) = upload_all(s3, BUCKET, [photo], {photo.key: 5})
    assert result.is_new
    assert result.error is None


def test_s3_can_refuse_a_file_that_changes_while_it_is_sent(photo: Upload) -> None:
    seen: dict[str, Any] = {}

    class Recording:
        def put_object(self, **request: Any) -> dict[str, str]:
            seen.update(request)
            return {"VersionId": "1"}

    (_,) = upload_all(Recording(), BUCKET, [photo])
    # S3 compares what it received with this, and answers BadDigest.
    assert seen["ChecksumSHA256"] == "fb32isC7NIKigeJnKwh3P5mkMV1ub+AtMxfVCijRhAE="
    assert seen["Metadata"] == {"sha256": hashlib.sha256(b"a dog").hexdigest()}


def test_failures_are_results_and_stop_nothing(s3: Any, photo: Upload, tmp_path: Path) -> None:
    missing = Upload(tmp_path / "gone.jpg", "folders/dogs/gone.jpg")
    results = {each.upload: each for each in sent(s3, missing, photo)}
    assert "gone.jpg" in (results[missing].error or "")
    assert results[photo].version


@pytest.mark.parametrize(
    ("name", "problem"),
    [(os.fsdecode(b"\xff.jpg"), "is not UTF-8"), ("/".join(["x" * 200] * 6), "longer than 1024")],
)
def test_name_that_cannot_be_a_key_is_refused_before_anything_is_sent(
    tmp_path: Path, name: str, problem: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"photo")
    with pytest.raises(UserError, match=problem) as raised:
        plan_uploads([tmp_path])
    assert str(raised.value).isprintable()


def test_objects_are_compared_in_parallel(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All threads are in HeadObject at once, or the barrier breaks and the test fails."""
    barrier = threading.Barrier(4, timeout=20)
    monkeypatch.setattr(uploads, "PARALLEL_CALLS", 4)
    files = [Upload(tmp_path / f"{n}.jpg", f"{n}.jpg") for n in range(4)]
    for each in files:
        each.path.write_bytes(b"x")
    sent(s3, *files)
    head = s3.head_object

    def head_together(**request: Any) -> Any:
        barrier.wait()
        return head(**request)

    monkeypatch.setattr(s3, "head_object", head_together)
    assert [each.is_new for each in sent(s3, *files)] == [False] * 4
