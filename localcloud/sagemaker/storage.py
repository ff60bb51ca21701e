"""The stand-in's way to S3: blocking calls, to be made from a thread."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

_CHUNK_BYTES = 1 << 20
START_DEADLINE_SECONDS = 120.0
START_PAUSE_SECONDS = 0.5


class ObjectTooLargeError(Exception):
    """The object holds more bytes than the caller is ready to take."""


class ObjectNotFoundError(Exception):
    """There is no such object, or no such bucket."""


def split_s3_uri(uri: str) -> tuple[str, str]:
    """``s3://bucket/key`` to ``(bucket, key)``; the key may hold any character, ``#`` too."""
    parts = urlsplit(uri, allow_fragments=False)
    key = uri[len(f"{parts.scheme}://{parts.netloc}") :].removeprefix("/")
    return parts.netloc, key


class Storage:
    """Objects in the S3 of the local cloud."""

    def __init__(self, endpoint_url: str, region: str) -> None:
        # An empty proxy map, so that no HTTP_PROXY in the environment carries loopback away.
        config = Config(
            s3={"addressing_style": "path"},
            proxies={},
            retries={"mode": "standard"},
            # What travels over loopback needs no checksums beside the length.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=5,
            read_timeout=30,
        )
        self._client: Any = botocore.session.get_session().create_client(
            "s3",
            region_name=region,
            endpoint_url=endpoint_url,
            aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "test"),
            aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
            config=config,
        )

    def is_answering(self) -> bool:
        """Whether there is an S3 at all, whatever it says."""
        try:
            self._client.list_buckets()
        except ClientError:
            return True
        except BotoCoreError:
            return False
        return True

    def exists(self, bucket: str, key: str) -> bool:
        """False only when S3 says that there is no such object."""
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
        """The whole object; ``ObjectTooLargeError`` before a byte of a larger one is read."""
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
    """After a restart of everything S3 comes back after us; without it jobs would fail."""
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if await asyncio.to_thread(storage.is_answering):
            return
        await asyncio.sleep(START_PAUSE_SECONDS)
