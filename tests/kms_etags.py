"""Make moto's S3 answer as S3 does where SSE-KMS encrypts: an ETag is not the MD5 of the content.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
"""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from moto.s3.models import FakeKey


def answer_as_kms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives every object of moto that is put from now on a random ETag, which it keeps."""

    def etag(key: Any) -> str:
        if key._etag is None:
            key._etag = secrets.token_hex(16)
        return f'"{key._etag}"'

    monkeypatch.setattr(FakeKey, "etag", property(etag))
