"""A data set in the bucket: all of it, once, and nothing else."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from imagedrop import uploads
from imagedrop.data_sets import upload_data_set
from imagedrop.errors import UserError
from tests.kms_etags import answer_as_kms
from training.data import dataset
from training.data.dataset import DataSet, file_sha256

BUCKET, PREFIX = "models", "training/data/dogs/"
NAMES = ("akita/a b+c%20é.jpg", "akita/2.jpg", "pug/🐶.jpg")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    answer_as_kms(monkeypatch)  # as the template's buckets do
    with mock_aws():
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def keys(s3: Any) -> set[str]:
    listed = s3.list_objects_v2(Bucket=BUCKET)
    return {each["Key"] for each in listed.get("Contents", [])}


def upload(s3: Any, folder: Path) -> Any:
    return upload_data_set(s3, BUCKET, PREFIX, DataSet.scan(folder), lambda: None)


def test_photos_keep_their_paths_and_the_manifest_is_theirs(s3: Any, folder: Path) -> None:
    done = upload(s3, folder)
    assert keys(s3) == {PREFIX + name for name in (*NAMES, "manifest.json")}
    manifest = json.loads(s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}manifest.json")["Body"].read())
    assert manifest["manifest_sha256"] == DataSet.scan(folder).manifest_sha256
    assert (done.sent, done.kept, done.uri) == (3, 0, f"s3://{BUCKET}/{PREFIX}")


def test_what_is_there_already_is_not_sent_again(s3: Any, folder: Path) -> None:
    upload(s3, folder)
    (folder / NAMES[1]).write_bytes(NAMES[1].encode()[::-1])  # as long, but different
    done = upload(s3, folder)
    assert (done.sent, done.kept) == (1, 2)
    body = s3.get_object(Bucket=BUCKET, Key=PREFIX + NAMES[1])["Body"].read()
    assert body == NAMES[1].encode()[::-1]


def test_interrupted_upload_has_no_manifest_and_goes_on(s3: Any, folder: Path) -> None:
    files = 0

    def interrupt() -> None:
        nonlocal files
        files += 1
        if files == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload_data_set(s3, BUCKET, PREFIX, DataSet.scan(folder), interrupt)
    assert f"{PREFIX}manifest.json" not in keys(s3)
    there = len(keys(s3))
    assert there >= 2
    done = upload(s3, folder)
    assert (done.sent, done.kept) == (3 - there, there)


@pytest.mark.parametrize(
    ("name", "problem"),
    [(os.fsdecode(b"pug/\xff.jpg"), "is not UTF-8"), ("x" * 200 + "/", "longer than 1024 bytes")],
)
def test_name_that_s3_cannot_keep_is_told_and_the_rest_is_sent_without_a_manifest(
    s3: Any, folder: Path, name: str, problem: str
) -> None:
    path = folder / "pug" / (name * 5) / "1.jpg" if name.endswith("/") else folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"photo")
    with pytest.raises(UserError, match=problem) as raised:
        upload(s3, folder)
    assert str(raised.value).isprintable()
    assert keys(s3) == {PREFIX + each for each in NAMES}
    path.unlink()
    assert upload(s3, folder).kept == 3


def test_objects_that_the_folder_does_not_have_are_named(s3: Any, folder: Path) -> None:
    upload(s3, folder)
    (folder / NAMES[0]).unlink()
    with pytest.raises(UserError, match="1 objects that the folder does not have") as raised:
        upload(s3, folder)
    assert PREFIX + NAMES[0] in str(raised.value)


@pytest.fixture
def unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A third photo of a class, which a disk refuses to read; no permission stops root."""
    path = folder / "pug/bad.jpg"
    path.write_bytes(b"bad")

    def sha256(of: Path) -> str:
        if of == path:
            raise OSError(errno.EIO, "Input/output error", str(of))
        return file_sha256(of)

    for module in (uploads, dataset):
        monkeypatch.setattr(module, "file_sha256", sha256)
    return path


def test_photo_that_cannot_be_read_is_left_out_of_the_manifest(
    s3: Any, folder: Path, unreadable: Path
) -> None:
    done = upload(s3, folder)
    assert not done.data.is_complete
    assert [each.path for each in done.data.left_out] == [unreadable]
    assert keys(s3) == {PREFIX + name for name in (*NAMES, "manifest.json")}
    manifest = json.loads(s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}manifest.json")["Body"].read())
    assert manifest["images"] == 3
    unreadable.unlink()
    assert manifest["manifest_sha256"] == DataSet.scan(folder).manifest_sha256


def test_earlier_upload_of_what_cannot_be_read_is_refused(
    s3: Any, folder: Path, unreadable: Path
) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}pug/bad.jpg", Body=b"other")
    with pytest.raises(UserError, match="1 objects that the folder does not have"):
        upload(s3, folder)
    assert f"{PREFIX}manifest.json" not in keys(s3)
