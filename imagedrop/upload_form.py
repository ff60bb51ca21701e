"""An upload form for guests without an AWS account, with limits that S3 enforces.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import re
from typing import Any

from botocore.config import Config

from imagedrop.errors import UserError
from imagedrop.target import INCOMING_PREFIX, Target
from imaging.limits import Limits

# A folder name in a key: no path traversal, and nothing to quote in a form.
_GUEST = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def upload_form(target: Target, guest: str, seconds: int) -> dict[str, Any]:
    """Signs a form for images under ``incoming/GUEST/``, up to the largest size that is classified.

    It is signed with the caller's credentials: it allows no more than they do, and expires with
    them.

    Args:
        seconds: how long the form is valid.

    Returns:
        `url`, the address for the POST, and `fields`, which are sent before the file.

    Raises:
        UserError: the guest's name cannot be a folder's name.
    """
    if _GUEST.fullmatch(guest) is None:
        raise UserError(
            f"{guest!r} cannot be a folder's name.",
            "Use at most 63 lower case letters, digits and hyphens: imagedrop upload-form alice",
        )
    prefix = f"{INCOMING_PREFIX}{guest}/"
    # boto3 uses the older signature in some regions; S3 refuses it where KMS encrypts.
    s3 = target.session.client(
        "s3",
        endpoint_url=target.endpoint_url,
        config=target.config.merge(Config(signature_version="s3v4")),
    )
    form: dict[str, Any] = s3.generate_presigned_post(
        Bucket=target.images_bucket,
        Key=prefix + "${filename}",
        Conditions=[
            ["starts-with", "$key", prefix],
            ["starts-with", "$Content-Type", "image/"],
            ["content-length-range", 1, Limits().max_bytes],
        ],
        ExpiresIn=seconds,
    )
    return form
