"""Gap: a policy cannot distinguish a presigned form from other requests.

S3 says so in `s3:authType` and `s3:signatureversion`:
https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from localcloud.emulator import patching

_FORM_LOOKS = "315bcda3b920"
_ENFORCE_LOOKS = "cf64b1ee5b09"
_KEYS = {"s3:authType": "POST", "s3:signatureversion": "AWS4-HMAC-SHA256"}
_is_form: ContextVar[bool] = ContextVar("is_form", default=False)


def install() -> None:
    """Give the check of a form's signer the condition keys of a form."""
    s3, evaluator = patching.module("services.s3"), patching.module("core.iam_evaluator")
    patching.replace(s3, "_enforce_signed_post_policy", _FORM_LOOKS, _noticing_forms)
    patching.replace(evaluator, "enforce", _ENFORCE_LOOKS, _with_keys)


def _noticing_forms(original: Callable[..., Any]) -> Callable[..., Any]:
    def check(fields: Any, bucket: str, region: str, size: int, sigv4: bool) -> Any:
        token = _is_form.set(sigv4)
        try:
            return original(fields, bucket, region, size, sigv4)
        finally:
            _is_form.reset(token)

    return check


def _with_keys(original: Callable[..., Any]) -> Callable[..., Any]:
    def enforce(*arguments: Any, **named: Any) -> Any:
        if _is_form.get():
            named["service_context"] = (named.get("service_context") or {}) | _KEYS
        return original(*arguments, **named)

    return enforce
