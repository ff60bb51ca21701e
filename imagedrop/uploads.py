"""Upload files to S3, each content once.

Every object has the sha256 of its bytes in its metadata. A file is there already if the object of
its key has the same size and sha256. ETags do not help: an ETag is the MD5 only without SSE-KMS
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.errors import UserError
from imagedrop.target import INCOMING_PREFIX, PARALLEL_CALLS
from training.data.dataset import file_sha256
from training.data.folders import LeftOut, Reason, explain, list_folder

SHA256 = "sha256"  # the name in an object's metadata; 64 hex digits
KEY_BYTES = 1024  # of UTF-8; S3's limit
_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the key it gets."""

    path: Path
    key: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of an upload.

    Attributes:
        version: the version that was made; None where none was.
        sha256: of the file, 64 hex digits; empty where it could not be read.
        is_new: False when the object was there already and was left alone.
        error: why the upload failed; None when it did not.
        is_unreadable: the file is the reason; another try would fail too.
    """

    upload: Upload
    version: str | None = None
    sha256: str = ""
    is_new: bool = True
    error: str | None = None
    is_unreadable: bool = False


def plan_uploads(
    paths: Sequence[Path], prefix: str = INCOMING_PREFIX
) -> tuple[list[Upload], list[LeftOut]]:
    """Returns the uploads, and the files left out with the reasons.

    A file goes to ``PREFIX/NAME``; a folder keeps its own name and the paths inside it.

    Raises:
        UserError: a path is missing, nothing is left to send, or two files have one key.
    """
    planned: list[Upload] = []
    left_out: list[LeftOut] = []
    for path in paths:
        found, not_found = _uploads_of(path, prefix)
        planned += found
        left_out += not_found
    reasons = {each: why_no_key(each.key) for each in dict.fromkeys(planned)}
    uploads = [each for each, reason in reasons.items() if reason is None]
    left_out += [LeftOut(each.path, reason) for each, reason in reasons.items() if reason]
    _refuse_nothing(uploads, left_out)
    _refuse_equal_keys(uploads)
    return uploads, left_out


def _uploads_of(path: Path, prefix: str) -> tuple[list[Upload], tuple[LeftOut, ...]]:
    if path.is_dir():
        content = list_folder(path)
        top = prefix + path.resolve().name
        keys = (f"{top}/{each.relative_to(path).as_posix()}" for each in content.files)
        uploads = [Upload(each, key) for each, key in zip(content.files, keys, strict=True)]
        return uploads, content.left_out
    if path.is_file():
        return [Upload(path, prefix + path.name)], ()
    if path.is_symlink():
        return [], (LeftOut(path, Reason.BROKEN_LINK),)
    if path.exists():
        return [], (LeftOut(path, Reason.NOT_A_FILE),)
    raise UserError(f"There is no {path}.", "Name files or folders that exist.")


def _refuse_nothing(uploads: Sequence[Upload], left_out: Sequence[LeftOut]) -> None:
    if not uploads:
        why = f" {explain(left_out, 1)[0]}" if left_out else ""
        raise UserError(f"There are no files to send.{why}", "Name a folder that holds photos.")


def _refuse_equal_keys(uploads: Iterable[Upload]) -> None:
    owners: dict[str, Path] = {}
    for upload in uploads:
        other = owners.setdefault(upload.key, upload.path)
        if other != upload.path:
            raise UserError(
                f"{other} and {upload.path} would both become {upload.key}.",
                "Send them in two folders of different names.",
            )


def why_no_key(key: str) -> Reason | None:
    """Returns why S3 does not accept a key; None if it does."""
    # Python reads the bytes of a name that is not UTF-8 as surrogates.
    if any("\ud800" <= each <= "\udfff" for each in key):
        return Reason.NOT_UTF8
    return Reason.LONG_NAME if len(key.encode()) > KEY_BYTES else None


def objects_below(s3: Any, bucket: str, prefix: str) -> dict[str, int]:
    """Lists the keys below a prefix, with their sizes in bytes."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", ())}


def upload_all(
    s3: Any, bucket: str, uploads: Iterable[Upload], there: Mapping[str, int] = _NOTHING
) -> Iterator[Sent]:
    """Uploads files in parallel and yields each result as it comes; a failure is a result too.

    Args:
        there: keys that may hold the same content already, with their sizes in bytes (see
            ``objects_below``). Other files are uploaded, whether the key exists or not.
    """
    pool = ThreadPoolExecutor(PARALLEL_CALLS)
    try:
        futures = [pool.submit(_upload, s3, bucket, each, there.get(each.key)) for each in uploads]
        for future in as_completed(futures):
            yield future.result()
    finally:
        # After Ctrl-C: finish the requests that have begun, and begin no more.
        pool.shutdown(wait=True, cancel_futures=True)


def _upload(s3: Any, bucket: str, upload: Upload, size_there: int | None) -> Sent:
    try:
        sha256 = file_sha256(upload.path)
        is_same_size = upload.path.stat().st_size == size_there
        if is_same_size and _sha256_of_object(s3, bucket, upload.key) == sha256:
            return Sent(upload, sha256=sha256, is_new=False)
        return Sent(upload, version=_put(s3, bucket, upload, sha256), sha256=sha256)
    except OSError as error:
        return Sent(upload, error=str(error), is_unreadable=True)
    except (ClientError, BotoCoreError, Boto3Error) as error:
        return Sent(upload, error=str(error))


def _put(s3: Any, bucket: str, upload: Upload, sha256: str) -> str:
    """Uploads one file and returns the version that this made."""
    content_type = mimetypes.guess_type(upload.path.name)[0] or "application/octet-stream"
    with upload.path.open("rb") as file:
        response = s3.put_object(
            Bucket=bucket,
            Key=upload.key,
            Body=file,
            ContentType=content_type,
            Metadata={SHA256: sha256},
            # S3 refuses a file that has changed since it was hashed.
            ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
        )
    return str(response.get("VersionId") or response["ETag"].strip('"'))


def _sha256_of_object(s3: Any, bucket: str, key: str) -> str | None:
    """Reads the sha256 in the metadata; None if another tool put the object."""
    try:
        metadata: dict[str, str] = s3.head_object(Bucket=bucket, Key=key)["Metadata"]
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return None  # deleted since it was listed
    return metadata.get(SHA256)
