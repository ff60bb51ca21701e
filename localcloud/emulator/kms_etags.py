"""Gap: a stack's bucket loses its encryption, and under SSE-KMS an ETag is still the MD5.

On AWS the ETag of an object that SSE-KMS encrypts is not the MD5 of its content:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

from localcloud.emulator import patching

_LOOKS = {"create": "477b78a3cb15", "update": "1d4f3f6390bb"}
_PUT_LOOKS = "cf5861e4d999"
_POST_LOOKS = "8d1de1398ac7"
_MD5_LOOKS = "684497c2d6dd"
_SSE = "x-amz-server-side-encryption"
_is_kms: ContextVar[bool] = ContextVar("is_kms", default=False)


def install() -> None:
    """Keep a bucket's default encryption, and give objects under SSE-KMS random ETags."""
    s3 = patching.module("services.s3")
    patching.extend_resource("AWS::S3::Bucket", _LOOKS, then=partial(_encrypt, s3))
    patching.replace(s3, "md5_hash", _MD5_LOOKS, _random_under_kms)
    # The headers are the last parameter of both.
    patching.replace(s3, "_put_object", _PUT_LOOKS, partial(_noticing_kms, s3))
    patching.replace(s3, "_post_object", _POST_LOOKS, partial(_noticing_kms, s3))


def _encrypt(s3: Any, bucket: str, props: dict[str, Any]) -> None:
    rules = (props.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration", [])
    if not rules:
        s3._bucket_encryption.pop(bucket, None)
        return
    default = rules[0]["ServerSideEncryptionByDefault"]
    members = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in default.items())
    has_key = str(rules[0].get("BucketKeyEnabled", False)).lower()
    s3._bucket_encryption[bucket] = (
        f'<ServerSideEncryptionConfiguration xmlns="{s3.S3_NS}"><Rule>'
        f"<ApplyServerSideEncryptionByDefault>{members}</ApplyServerSideEncryptionByDefault>"
        f"<BucketKeyEnabled>{has_key}</BucketKeyEnabled>"
        "</Rule></ServerSideEncryptionConfiguration>"
    )


def _random_under_kms(original: Callable[[bytes], str]) -> Callable[[bytes], str]:
    def md5_hash(data: bytes) -> str:
        return secrets.token_hex(16) if _is_kms.get() else original(data)

    return md5_hash


def _noticing_kms(s3: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def write(bucket: str, *rest: Any) -> Any:
        asked = rest[-1].get(_SSE) or s3._bucket_default_sse_headers(bucket).get(_SSE, "")
        token = _is_kms.set(asked.startswith("aws:kms"))
        try:
            return original(bucket, *rest)
        finally:
            _is_kms.reset(token)

    return write
