"""A data set into the models bucket; what is there already is not sent again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from imagedrop.errors import UserError
from imagedrop.render import printable
from imagedrop.target import PARALLEL_CALLS
from training.data.dataset import DataSet, LabelledImage, file_sha256

MANIFEST_NAME = "manifest.json"
DIGEST = "sha256"  # of the object's metadata
KEY_BYTES = 1024  # of UTF-8, S3's limit


@dataclass(frozen=True, slots=True)
class Uploaded:
    """How many files were sent, and how many were there already."""

    sent: int
    kept: int
    uri: str
    manifest_sha256: str


def upload_data(
    s3: Any, bucket: str, prefix: str, data: DataSet, on_file: Callable[[], None]
) -> Uploaded:
    """Puts every photo below the prefix, with the paths that the folder has.

    An interrupted upload is taken up by the same call: each object says the sha256 of its bytes,
    and is left alone when the file has the same. The manifest comes last, so that where it is, all
    the photos are.

    Args:
        prefix: of the keys, with its last slash.

    Raises:
        UserError: a path cannot be a key, or other objects are below the prefix: a job would
            train on them too.
        ClientError: S3 refuses.
        OSError: a file cannot be read.
    """
    keys = {prefix + image.path.relative_to(data.folder).as_posix(): image for image in data.images}
    _check_keys(keys)
    there = dict(_objects(s3, bucket, prefix))
    others = sorted(set(there) - set(keys) - {prefix + MANIFEST_NAME})
    if others:
        raise UserError(
            f"s3://{bucket}/{prefix} holds {len(others)} objects that the folder does not have, "
            f"{others[0]} among them; a job would train on them too.",
            "Remove them, or give the data set another NAME.",
        )

    def send(key: str) -> tuple[LabelledImage, str, bool]:
        image = keys[key]
        digest = file_sha256(image.path)
        size_bytes = image.path.stat().st_size
        is_there = there.get(key) == size_bytes and _digest(s3, bucket, key) == digest
        if not is_there:
            with image.path.open("rb") as file:
                s3.put_object(Bucket=bucket, Key=key, Body=file, Metadata={DIGEST: digest})
        on_file()
        return image, digest, not is_there

    pool = ThreadPoolExecutor(PARALLEL_CALLS)
    try:
        done = list(pool.map(send, keys))
    finally:
        # After Ctrl-C: finish what is on its way, begin nothing more.
        pool.shutdown(wait=True, cancel_futures=True)
    manifest_sha256 = data.manifest_of({image.path: digest for image, digest, _ in done})
    manifest = {"schema": 1, "manifest_sha256": manifest_sha256, "images": len(done)}
    s3.put_object(Bucket=bucket, Key=prefix + MANIFEST_NAME, Body=json.dumps(manifest).encode())
    sent = sum(is_new for _, _, is_new in done)
    return Uploaded(sent, len(done) - sent, f"s3://{bucket}/{prefix}", manifest_sha256)


def _check_keys(keys: Iterable[str]) -> None:
    for key in keys:
        # A name of bytes that are no UTF-8 reaches Python as surrogates.
        is_utf8 = not any("\ud800" <= each <= "\udfff" for each in key)
        if not is_utf8 or len(key.encode()) > KEY_BYTES:
            problem = f"is longer than {KEY_BYTES} bytes" if is_utf8 else "is not UTF-8"
            raise UserError(
                f"{printable(key)} {problem}: S3 takes no such key.",
                "Rename the file; nothing was uploaded.",
            )


def _objects(s3: Any, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Keys below the prefix with their sizes in bytes."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for each in page.get("Contents", []):
            yield each["Key"], each["Size"]


def _digest(s3: Any, bucket: str, key: str) -> str | None:
    try:
        metadata: dict[str, str] = s3.head_object(Bucket=bucket, Key=key)["Metadata"]
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return None  # somebody has removed it since it was listed
    return metadata.get(DIGEST)
