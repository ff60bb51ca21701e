"""Moves a training job's data between S3 and its folders. Blocking: call it from a thread."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.artifacts import UNPACKING_ERRORS, extract
from localcloud.sagemaker.storage import ObjectNotFoundError, Storage, split_s3_uri
from localcloud.sagemaker.training_layout import OptMl


class DataError(Exception):
    """Data or code is not available; the message is the FailureReason that SageMaker gives."""


def fetch_channels(storage: Storage, job: Mapping[str, Any], folders: OptMl) -> None:
    """Download every object below each channel's address into ``input/data/CHANNEL``.

    Raises:
        DataError: a channel is empty or cannot be downloaded.
    """
    for channel in job.get("InputDataConfig", []):
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        try:
            count = _fetch(storage, uri, folders.channel(channel["ChannelName"]))
        except (ClientError, BotoCoreError, ObjectNotFoundError) as error:
            raise DataError(f"ClientError: Data download failed: {uri}: {error}") from error
        if count == 0:
            raise DataError(
                f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" '
                "given in input data source. Please ensure that the bucket exists and that "
                "objects exist under that S3 prefix."
            )


def fetch_code(storage: Storage, address: str, folders: OptMl) -> None:
    """Extract the sources into ``code``.

    Args:
        address: `s3://…/sourcedir.tar.gz`, or its path in a channel: `/opt/ml/input/data/…`.

    Raises:
        DataError: there are none, or they are not a valid archive.
    """
    archive = folders.root / "sourcedir.tar.gz"
    try:
        if address.startswith("s3://"):
            storage.download(*split_s3_uri(address), archive)
        else:
            archive = folders.root / address.removeprefix("/opt/ml/")
        extract(archive, folders.code)
    except (*UNPACKING_ERRORS, ClientError, BotoCoreError, ObjectNotFoundError) as error:
        raise DataError(f"AlgorithmError: cannot get the code {address}: {error}") from error


def upload_folder(storage: Storage, folder: Path, uri: str) -> bool:
    """Upload the folder's content as one .tar.gz; False when the folder is empty."""
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return False
    archive = folder.parent / f"{folder.name}.upload.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name in names:
            tar.add(folder / name, arcname=name)
    storage.upload(*split_s3_uri(uri), archive)
    archive.unlink()
    return True


class Checkpoints:
    """The folder ``checkpoints`` and its copy in S3."""

    def __init__(self, storage: Storage, uri: str, folder: Path) -> None:
        self._storage, self._uri, self._folder = storage, uri.rstrip("/") + "/", folder
        self._sent: dict[Path, tuple[int, int]] = {}

    def fetch(self) -> None:
        """Download the checkpoints of an earlier attempt."""
        _fetch(self._storage, self._uri, self._folder)
        self._sent = self._seen()

    def send_changes(self) -> None:
        """Upload the files that are new or have changed."""
        bucket, prefix = split_s3_uri(self._uri)
        for path, mark in self._seen().items():
            if self._sent.get(path) != mark:
                key = prefix + path.relative_to(self._folder).as_posix()
                self._storage.upload(bucket, key, path)
                self._sent[path] = mark

    def _seen(self) -> dict[Path, tuple[int, int]]:
        marks = {}
        for path in self._folder.rglob("*"):
            # A file being written under another name may be gone before it is looked at.
            if path.is_file() and not path.name.endswith((".tmp", ".unfinished")):
                status = path.stat()
                marks[path] = (status.st_mtime_ns, status.st_size)
        return marks


def _fetch(storage: Storage, uri: str, folder: Path) -> int:
    """Download every object whose key begins with the address, and count them."""
    bucket, prefix = split_s3_uri(uri)
    above = prefix[: prefix.rfind("/") + 1]
    count = 0
    for keys in storage.list_pages(bucket, prefix):
        for key in keys:
            name = PurePosixPath(key.removeprefix(above))
            if key.endswith("/"):
                continue
            if name.is_absolute() or ".." in name.parts:
                raise DataError(f"ClientError: Data download failed: {key} leaves its folder")
            destination = folder / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            storage.download(bucket, key, destination)
            count += 1
    return count
