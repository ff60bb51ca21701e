"""The files of bulk runs: JSON, lines of JSON, shards and manifests in the work bucket."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pipeline.adapters.service_errors import error_code, translate_errors
from pipeline.adapters.stored_object import read_object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Parts of a multipart upload are 5 MiB at least (S3's limit) and 10,000 at most.
PART_BYTES = 8 * 1024 * 1024
DELETED_AT_ONCE = 1000  # S3's limit for DeleteObjects


class WorkBucket:
    """The bucket named in the template; every write replaces the whole object."""

    def __init__(self, s3: S3Client, name: str) -> None:
        self._s3 = s3
        self.name = name

    def exists(self, key: str) -> bool:
        with translate_errors():
            try:
                self._s3.head_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if error_code(error) in ("404", "NoSuchKey", "NotFound"):
                    return False
                raise
        return True

    def read(self, key: str) -> bytes | None:
        """Returns an object's content; None when it does not exist.

        Raises:
            TransientError: S3 is busy or did not answer.
        """
        return read_object(self._s3, self.name, key)

    def read_json(self, key: str) -> Any | None:
        content = self.read(key)
        return None if content is None else json.loads(content)

    def read_lines(self, key: str) -> list[dict[str, Any]]:
        """Returns the lines of one chunk; none when the object does not exist."""
        # Not splitlines(): a key may hold U+2028 or another character that Python splits at.
        content = self.read(key) or b""
        return [json.loads(line) for line in content.split(b"\n") if line]

    def write(self, key: str, content: bytes, content_type: str) -> None:
        with translate_errors():
            self._s3.put_object(Bucket=self.name, Key=key, Body=content, ContentType=content_type)

    def write_json(self, key: str, value: Any) -> None:
        self.write(key, json.dumps(value).encode(), "application/json")

    def write_lines(self, key: str, values: Iterable[Mapping[str, Any]]) -> None:
        lines = b"".join(json.dumps(each).encode() + b"\n" for each in values)
        self.write(key, lines, "application/jsonl")

    def write_stream(self, key: str, pieces: Iterable[bytes], content_type: str) -> None:
        """Writes an object of any size, with one part of it in memory."""
        parts = _parts(pieces)
        first = next(parts, b"")
        second = next(parts, None)
        if second is None:
            self.write(key, first, content_type)
            return
        with translate_errors():
            upload = self._s3.create_multipart_upload(
                Bucket=self.name, Key=key, ContentType=content_type
            )
            where: dict[str, Any] = {
                "Bucket": self.name,
                "Key": key,
                "UploadId": upload["UploadId"],
            }
            sent: list[Any] = []
            for number, part in enumerate(chain((first, second), parts), 1):
                etag = self._s3.upload_part(**where, PartNumber=number, Body=part)["ETag"]
                sent.append({"PartNumber": number, "ETag": etag})
            self._s3.complete_multipart_upload(**where, MultipartUpload={"Parts": sent})

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes up to DELETED_AT_ONCE objects; missing ones are ignored.

        Raises:
            TransientError: S3 is busy or did not answer.
            ClientError: S3 refuses to delete one of them, most often for a missing permission.
        """
        with translate_errors():
            answer = self._s3.delete_objects(
                Bucket=self.name,
                Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
            )
            for refused in answer.get("Errors", ()):
                raise ClientError(
                    {"Error": {"Code": refused["Code"], "Message": refused["Message"]}},
                    "DeleteObjects",
                )

    def keys(self, prefix: str) -> Iterator[str]:
        """Yields keys in S3's order, by their UTF-8 bytes; a page of 1,000 is in memory."""
        with translate_errors():
            for page in self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix
            ):
                for entry in page.get("Contents", ()):
                    yield entry["Key"]


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if len(buffer) >= PART_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)
