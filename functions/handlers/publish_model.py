"""``PublishModelFunction``: brings the default model from this bundle into the models bucket.

CloudFormation calls it as the custom resource ``PublishedModel``, before the endpoint exists, so
that one deployment brings everything up and nobody uploads an archive by hand.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import tarfile
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

logger = logging.getLogger(__name__)

ARCHIVE_PATH = Path(__file__).resolve().parent.parent / "default_model" / "model.tar.gz"
CARD_NAME = "model.json"
# A card of 1,000 labels is 40 kB; what is larger is no card, and is not read into memory.
MAX_CARD_BYTES = 1024 * 1024

FOLDER_PREFIX = "models/"
# What a creation that failed is called; deleting it deletes nothing.
NOT_PUBLISHED = "not-published"

# CloudFormation takes an answer of 4,096 bytes; the attributes need less than 1,000 of them.
MAX_REASON_CHARACTERS = 1000
ANSWER_TIMEOUT_SECONDS = 10


class ModelArchiveError(Exception):
    """The bundled archive is not what a model archive has to be."""


@dataclass(frozen=True, slots=True)
class BundledModel:
    """What the archive says about itself, and where its bytes belong."""

    path: Path
    sha256: bytes
    card: bytes  # model.json as it lies in the archive
    name: str
    version: str
    image_spec: str  # compact JSON

    @property
    def folder(self) -> str:
        """The same bytes always have the same folder, other bytes another one."""
        return f"{FOLDER_PREFIX}{self.sha256.hex()[:16]}"


def read_bundled_model(path: Path) -> BundledModel:
    """Reads ``model.json`` inside the archive; the weights pass by and are not unpacked.

    Raises:
        ModelArchiveError: there is no archive, no card in it, or the card lacks a field.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").digest()
        with tarfile.open(path, "r:gz") as archive:
            card = _read_card(archive)
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise ModelArchiveError(f"{path.name} cannot be read: {error}") from error
    try:
        fields = json.loads(card)
    except ValueError as error:
        raise ModelArchiveError(f"{CARD_NAME} is not JSON: {error}") from error
    match fields:
        case {"name": str(name), "version": str(version), "image_spec": dict(image_spec)}:
            spec = json.dumps(image_spec, separators=(",", ":"), sort_keys=True)
            return BundledModel(path, sha256, card, name, version, spec)
        case _:
            raise ModelArchiveError(f"{CARD_NAME} has no name, no version or no image_spec")


def _read_card(archive: tarfile.TarFile) -> bytes:
    for member in archive:
        if member.name.removeprefix("./") != CARD_NAME:
            continue
        file = archive.extractfile(member)
        if file is None or member.size > MAX_CARD_BYTES:
            raise ModelArchiveError(f"{CARD_NAME} is no file of at most {MAX_CARD_BYTES} bytes")
        return file.read()
    raise ModelArchiveError(f"there is no {CARD_NAME} in the archive")


def publish(s3: S3Client, bucket: str, model: BundledModel) -> dict[str, str]:
    """Copies the archive, streaming, and its card; returns the attributes the template reads.

    Doing it twice writes the same bytes to the same keys. S3 refuses bytes of another checksum.

    Raises:
        ClientError: S3 refuses; a missing permission above all.
    """
    archive_key, card_key = keys_in(model.folder)
    with model.path.open("rb") as body:
        s3.put_object(
            Bucket=bucket,
            Key=archive_key,
            Body=body,
            ContentType="application/gzip",
            ChecksumSHA256=base64.b64encode(model.sha256).decode(),
        )
    s3.put_object(Bucket=bucket, Key=card_key, Body=model.card, ContentType="application/json")
    return {
        "ModelDataUrl": f"s3://{bucket}/{archive_key}",
        "ModelCardUrl": f"s3://{bucket}/{card_key}",
        "ImageSpec": model.image_spec,
        "ModelName": model.name,
        "ModelVersion": model.version,
    }


def withdraw(s3: S3Client, bucket: str, folder: str) -> None:
    """Deletes what ``publish`` put into a folder; what others put into the bucket stays.

    Raises:
        ClientError: S3 refuses; a bucket that is gone already is no error.
    """
    if not folder.startswith(FOLDER_PREFIX):
        return
    try:
        for key in keys_in(folder):
            s3.delete_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchBucket:
        logger.info("the models bucket is gone, and the archive with it")


def keys_in(folder: str) -> tuple[str, str]:
    return f"{folder}/model.tar.gz", f"{folder}/{CARD_NAME}"


def change(event: Mapping[str, Any], s3: S3Client, bucket: str) -> tuple[str, dict[str, str]]:
    """Does what CloudFormation asks: returns PhysicalResourceId and attributes.

    Another content is another PhysicalResourceId, and CloudFormation sends a Delete for the old
    one once the endpoint has moved to the new archive, or for the new one after a rollback.
    """
    if event["RequestType"] == "Delete":
        withdraw(s3, bucket, event["PhysicalResourceId"])
        return event["PhysicalResourceId"], {}
    model = read_bundled_model(ARCHIVE_PATH)
    return model.folder, publish(s3, bucket, model)


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Answers CloudFormation always: a stack whose resource is silent waits for its timeout."""
    answer: dict[str, object] = {
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "PhysicalResourceId": event.get("PhysicalResourceId", NOT_PUBLISHED),
    }
    try:
        bucket = os.environ["MODELS_BUCKET"]
        answer["PhysicalResourceId"], answer["Data"] = change(event, boto3.client("s3"), bucket)
        answer["Status"] = "SUCCESS"
    except Exception as error:
        logger.exception("the default model was not published")
        answer["Status"] = "FAILED"
        answer["Reason"] = _reason(error, context)
    _send(event["ResponseURL"], answer)


def _reason(error: Exception, context: Any) -> str:
    where = f" (log stream {context.log_stream_name})"
    return f"{type(error).__name__}: {error}"[: MAX_REASON_CHARACTERS - len(where)] + where


def _send(response_url: str, answer: Mapping[str, object]) -> None:
    """An error here goes up: Lambda calls again, twice, with minutes between."""
    request = urllib.request.Request(  # noqa: S310 - the address is CloudFormation's own
        response_url,
        data=json.dumps(answer).encode(),
        method="PUT",
        headers={"Content-Type": ""},  # the address is signed for an empty one
    )
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS):  # noqa: S310
        pass
