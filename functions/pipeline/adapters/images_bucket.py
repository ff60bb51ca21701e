"""Bounded reads of exactly one version of one object."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from imaging import DEFAULT_LIMITS, Rejection, RejectReason
from pipeline.adapters.service_errors import error_code, translate_errors
from pipeline.errors import TransientError
from pipeline.events import NO_SEQUENCER, Change, ImageRef, utc_text

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

GONE_CODES = frozenset(
    {"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "MethodNotAllowed"}
)
# GetObject's code for text that is no version id. Only outside callers can invent one: in an event
# it is a bug, and treating the object as gone would delete its row.
MALFORMED_VERSION_CODE = "InvalidArgument"

# GetObject's code for an object in an archive storage class: it must be restored first, by hand.
ARCHIVED_CODE = "InvalidObjectState"


class ImagesBucket:
    """Any bucket that an event names; the function's role decides which ones can be read."""

    def __init__(
        self,
        s3: S3Client,
        max_bytes: int = DEFAULT_LIMITS.max_bytes,
        gone_codes: frozenset[str] = GONE_CODES,
    ) -> None:
        self._s3 = s3
        self._max_bytes = max_bytes
        self._gone_codes = gone_codes

    def read(self, ref: ImageRef) -> bytes | Rejection | None:
        """Returns the object's bytes, None when it is gone, or a rejection when it is too large or
        archived.

        Raises:
            TransientError: S3 is busy or did not answer.
            ClientError: anything else, most often a missing permission.
        """
        if ref.size_bytes > self._max_bytes:
            return self._too_large(ref.size_bytes)
        with translate_errors():
            try:
                response = (
                    self._s3.get_object(Bucket=ref.bucket, Key=ref.key, VersionId=ref.version)
                    if ref.versioned
                    else self._s3.get_object(Bucket=ref.bucket, Key=ref.key, IfMatch=ref.version)
                )
            except ClientError as error:
                if error_code(error) in self._gone_codes:
                    return None
                if error_code(error) == ARCHIVED_CODE:
                    return _archived(error)
                raise
            # The body's own context manager would return urllib3's stream, and raise its errors.
            with closing(response["Body"]) as body:
                # The event stated a smaller size, or the server announced none.
                announced = response.get("ContentLength")
                if announced is not None and announced > self._max_bytes:
                    return self._too_large(announced)
                data: bytes = body.read(self._max_bytes + 1)
        if announced is not None and len(data) != announced:
            raise TransientError("IncompleteRead", f"{len(data)} of {announced} bytes arrived")
        return data if len(data) <= self._max_bytes else self._too_large(len(data))

    def current(self, bucket: str, key: str) -> ImageRef | None:
        """Returns the current version of a key, for lists without versions; None when it is gone.

        Raises:
            TransientError: S3 is busy or did not answer.
        """
        with translate_errors():
            try:
                head = self._s3.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if error_code(error) in GONE_CODES:
                    return None
                raise
        version_id = head.get("VersionId")
        versioned = version_id is not None and version_id != "null"
        return ImageRef(
            bucket=bucket,
            key=key,
            version=version_id if versioned and version_id else head["ETag"].strip('"'),
            versioned=versioned,
            sequencer=NO_SEQUENCER,
            size_bytes=head["ContentLength"],
            received_at=utc_text(head["LastModified"]),
            change=Change.CREATED,
        )

    def _too_large(self, size_bytes: int) -> Rejection:
        return Rejection(
            RejectReason.TOO_MANY_BYTES,
            f"{size_bytes} bytes, more than {self._max_bytes}",
            format=None,
            width=None,
            height=None,
        )


def _archived(error: ClientError) -> Rejection:
    storage_class = error.response.get("Error", {}).get("StorageClass", "an archive class")
    return Rejection(RejectReason.ARCHIVED, f"stored in {storage_class}: S3 does not return bytes")
