"""Objects in the local S3: blocking calls, to be made from a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from localcloud import aws

_CHUNK_BYTES = 1 << 20
START_DEADLINE_SECONDS = 120.0
START_PAUSE_SECONDS = 0.5


class ObjectTooLargeError(Exception):
    """The object has more bytes than the caller accepts."""


class ObjectNotFoundError(Exception):
    """There is no such object, or no such bucket."""


def split_s3_uri(uri: str) -> tuple[str, str]:
    """``s3://bucket/key`` to ``(bucket, key)``; the key may hold any character, ``#`` too."""
    parts = urlsplit(uri, allow_fragments=False)
    key = uri[len(f"{parts.scheme}://{parts.netloc}") :].removeprefix("/")
    return parts.netloc, key


class Storage:
    """Objects in the S3 of the local cloud."""

    def __init__(self, endpoint_url: str) -> None:
        config = Config(
            s3={"addressing_style": "path"},
            retries={"mode": "standard"},
            # Over loopback the length is check enough.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=5,
            read_timeout=30,
        )
        self._client = aws.client("s3", endpoint_url, config)

    def is_answering(self) -> bool:
        """Whether S3 answers at all, even with an error."""
        try:
            self._client.list_buckets()
        except ClientError:
            return True
        except BotoCoreError:
            return False
        return True

    def exists(self, bucket: str, key: str) -> bool:
        """Whether there is such an object. Any error but 404 is raised."""
        try:
            self._client.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def download(self, bucket: str, key: str, destination: Path) -> None:
        """Write the object to a file, a megabyte at a time."""
        body = self._get(bucket, key)["Body"]
        with destination.open("wb") as file:
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                file.write(chunk)

    def read(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Return the whole object.

        Raises:
            ObjectTooLargeError: it has more than ``max_bytes``; nothing of it was read.
            ObjectNotFoundError: there is none.
        """
        answer = self._get(bucket, key)
        if answer["ContentLength"] > max_bytes:
            answer["Body"].close()
            raise ObjectTooLargeError(f"{answer['ContentLength']} bytes, limit {max_bytes}")
        content: bytes = answer["Body"].read()
        return content

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Replace the object."""
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def upload(self, bucket: str, key: str, source: Path) -> None:
        """Replace the object by a file, which is not held in memory."""
        with source.open("rb") as file:
            self._client.put_object(Bucket=bucket, Key=key, Body=file)

    def list_pages(self, bucket: str, prefix: str) -> Iterator[list[str]]:
        """The keys under a prefix, a page (1,000) at a time."""
        for page in self._client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix
        ):
            yield [entry["Key"] for entry in page.get("Contents", ())]

    def _get(self, bucket: str, key: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._client.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise ObjectNotFoundError(f"s3://{bucket}/{key}") from error
            raise
        return answer


async def wait_until_answering(storage: Storage) -> None:
    """Wait until S3 answers, two minutes at most: after a restart it starts after the stand-in."""
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if await asyncio.to_thread(storage.is_answering):
            return
        await asyncio.sleep(START_PAUSE_SECONDS)
