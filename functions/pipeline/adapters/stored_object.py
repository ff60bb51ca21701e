"""Reads a small object of S3 that may not be there."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pipeline.adapters.service_errors import error_code, translate_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def read_object(s3: S3Client, bucket: str, key: str) -> bytes | None:
    """Returns an object's content; None when there is none.

    Raises:
        TransientError: S3 is busy or did not answer.
        ClientError: anything else, most often a missing permission.
    """
    with translate_errors():
        try:
            # closing(), because the body's own context manager returns the raw stream, without
            # botocore's check of the length and without its errors.
            with closing(s3.get_object(Bucket=bucket, Key=key)["Body"]) as body:
                return body.read()
        except ClientError as error:
            if error_code(error) != "NoSuchKey":
                raise
            return None
