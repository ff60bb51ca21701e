"""The sources of a bulk run: a folder, an S3 Inventory, a text file of keys, rows of the table."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from bulk.list_images import ImageSource, Position, SourcePage
from bulk.run import Listed
from pipeline.adapters.service_errors import error_code, translate_errors
from pipeline.events import utc_text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE_LINES = 1000  # of a text source; as many as S3 lists at once
T = TypeVar("T")


class SourceError(Exception):
    """The source is missing or malformed; the message says what to do."""


@contextmanager
def missing_sources_named() -> Iterator[None]:
    """Turns "missing" and "access denied" into SourceError, which is not retried."""
    try:
        yield
    except ClientError as error:
        if error_code(error) in ("NoSuchBucket", "NoSuchKey", "AccessDenied"):
            raise SourceError(f"the source cannot be read: {error}") from error
        raise


def image_source(s3: S3Client, source: Mapping[str, Any]) -> ImageSource:
    """Returns the source that a run's settings describe.

    Raises:
        SourceError: an unknown kind.
    """
    match source:
        case {"kind": "folder", "bucket": str(bucket), "prefix": str(prefix)}:
            return Folder(s3, bucket, prefix)
        case {"kind": "inventory", "manifest": str(manifest), "prefix": str(prefix)}:
            return Inventory(s3, manifest, prefix)
        case {"kind": "list", "uri": str(uri), "bucket": str(bucket)}:
            return KeyList(s3, uri, bucket)
        case {"kind": "rows", "uri": str(uri)}:
            return Rows(s3, uri)
        case _:
            raise SourceError(
                f"unknown kind of source {source.get('kind')!r}: "
                "use folder, inventory, list or rows"
            )


class Folder:
    """The current version of each object under a prefix.

    Uses ListObjectVersions, the only listing with version ids; in a bucket without versions, the
    etag takes their place.
    """

    def __init__(self, s3: S3Client, bucket: str, prefix: str) -> None:
        self._s3, self._bucket, self._prefix = s3, bucket, prefix

    def pages(self, after: Position) -> Iterator[SourcePage]:
        marker = after or {}
        while True:
            with translate_errors(), missing_sources_named():
                page = self._s3.list_object_versions(
                    Bucket=self._bucket, Prefix=self._prefix, **marker
                )
            listed = [self._listed(each) for each in page.get("Versions", ()) if each["IsLatest"]]
            more = page.get("IsTruncated", False)
            marker = {"KeyMarker": page["NextKeyMarker"]} if more else {}
            if more and page.get("NextVersionIdMarker"):
                marker["VersionIdMarker"] = page["NextVersionIdMarker"]
            yield SourcePage(listed, marker if more else None)
            if not more:
                return

    def _listed(self, version: Mapping[str, Any]) -> Listed:
        etag = version["ETag"].strip('"')
        versioned = version["VersionId"] != "null"
        return Listed(
            bucket=self._bucket,
            key=version["Key"],
            version=version["VersionId"] if versioned else etag,
            versioned=versioned,
            size_bytes=version["Size"],
            last_modified=utc_text(version["LastModified"]),
        )


class Inventory:
    """An S3 Inventory in CSV, for folders of many millions of objects.

    Its lines may be a day old: later changes are noticed when an image is read.
    """

    def __init__(self, s3: S3Client, manifest_uri: str, prefix: str) -> None:
        self._s3, self._manifest_uri, self._prefix = s3, manifest_uri, prefix

    def pages(self, after: Position) -> Iterator[SourcePage]:
        bucket, key = split_uri(self._manifest_uri)
        with translate_errors(), missing_sources_named():
            content = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        columns, files, data_bucket = _inventory_files(self._manifest_uri, content)
        file_number, line_number = after or (0, 0)
        for number in range(file_number, len(files)):
            rows = csv.reader(self._lines(data_bucket, files[number]))
            position = line_number if number == file_number else 0
            for read in _pages_of(islice(rows, position, None)):
                position += len(read)
                listed = [self._listed(dict(zip(columns, row, strict=False))) for row in read]
                yield SourcePage([each for each in listed if each], (number, position))
        yield SourcePage([], None)

    def _lines(self, bucket: str, key: str) -> Iterator[str]:
        with translate_errors(), missing_sources_named():
            body: Any = self._s3.get_object(Bucket=bucket, Key=key)["Body"]
            try:
                with gzip.GzipFile(fileobj=body) as unpacked:
                    yield from io.TextIOWrapper(unpacked, encoding="utf-8", newline="")
            except (gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError) as error:
                raise SourceError(f"{key} is not a gzip file of text: {error}") from error

    def _listed(self, row: Mapping[str, str]) -> Listed | None:
        key = unquote_plus(row["Key"])
        if row.get("IsLatest") == "false" or row.get("IsDeleteMarker") == "true":
            return None
        if not key.startswith(self._prefix):
            return None
        return Listed(bucket=row["Bucket"], key=key)


class KeyList:
    """A text file: one key, or one s3:// address of the same bucket, per line."""

    def __init__(self, s3: S3Client, uri: str, bucket: str) -> None:
        self._s3, self._uri, self._bucket = s3, uri, bucket

    def pages(self, after: Position) -> Iterator[SourcePage]:
        def listed(lines: Sequence[str]) -> list[Listed]:
            return [Listed(self._bucket, self._key(line)) for line in lines if line]

        return _text_pages(self._s3, self._uri, after, listed)

    def _key(self, line: str) -> str:
        address = f"s3://{self._bucket}/"
        if line.startswith("s3://") and not line.startswith(address):
            raise SourceError(f"{line} is not in {address}: use one bucket a run")
        return line.removeprefix(address)


class Rows:
    """Rows of the predictions table, which the command line has written as lines of a listing."""

    def __init__(self, s3: S3Client, uri: str) -> None:
        self._s3, self._uri = s3, uri

    def pages(self, after: Position) -> Iterator[SourcePage]:
        def listed(lines: Sequence[str]) -> list[Listed]:
            return [Listed(**json.loads(line)) for line in lines]

        return _text_pages(self._s3, self._uri, after, listed)


def _text_pages(
    s3: S3Client, uri: str, after: Position, listed: Callable[[Sequence[str]], list[Listed]]
) -> Iterator[SourcePage]:
    """Yields what `listed` makes of a text file's lines, from the line `after` on."""
    bucket, key = split_uri(uri)
    position = after or 0
    with translate_errors(), missing_sources_named():
        body: Any = s3.get_object(Bucket=bucket, Key=key)["Body"]
        for read in _pages_of(islice(_lines_of(uri, body), position, None)):
            position += len(read)
            yield SourcePage(listed(read), position)
    yield SourcePage([], None)


def _inventory_files(uri: str, content: bytes) -> tuple[list[str], list[str], str]:
    """Reads an inventory's manifest.json: its columns, the files' keys and their bucket.

    Raises:
        SourceError: it is not such a manifest, or the inventory is not in CSV.
    """
    try:
        manifest = json.loads(content)
        file_format = manifest["fileFormat"]
        columns = [name.strip() for name in manifest["fileSchema"].split(",")]
        files = [each["key"] for each in manifest["files"]]
        bucket = manifest["destinationBucket"].rpartition(":")[2]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{uri} is not the manifest.json of an S3 Inventory: {error!r}"
        ) from error
    if file_format != "CSV":
        raise SourceError(f"the inventory's format is {file_format}: configure it to be CSV")
    if not {"Bucket", "Key"} <= set(columns):
        raise SourceError(
            f"{uri} lacks the columns Bucket and Key: configure the inventory to have them"
        )
    return columns, files, bucket


def _lines_of(uri: str, body: Any) -> Iterator[str]:
    """Yields the lines of a text in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        SourceError: it is in another encoding.
    """
    opened = io.BufferedReader(body)
    is_utf16 = opened.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    read = 0
    try:
        for line in io.TextIOWrapper(opened, "utf-16" if is_utf16 else "utf-8-sig"):
            if "\0" in line:
                raise SourceError(f"line {read + 1} of {uri} holds a zero byte: save it as UTF-8")
            read += 1
            yield line.rstrip("\n")
    except UnicodeError as error:
        raise SourceError(
            f"{uri} is not UTF-8 after line {read}: save it as UTF-8 ({error})"
        ) from error


def _pages_of(items: Iterator[T]) -> Iterator[list[T]]:
    while page := list(islice(items, PAGE_LINES)):
        yield page


def split_uri(uri: str) -> tuple[str, str]:
    """Splits ``s3://bucket/key`` into its bucket and its key.

    Raises:
        SourceError: it is not such an address.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise SourceError(f"{uri} is not an address s3://bucket/key")
    return bucket, key
