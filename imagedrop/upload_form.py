"""A form by which somebody without an account may drop images, within bounds that S3 keeps.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from botocore.config import Config

from imagedrop.errors import UserError
from imagedrop.target import Target
from imagedrop.uploads import INCOMING_PREFIX
from imaging.limits import Limits

# A folder of a key: nothing that climbs, and nothing that has to be quoted in a form.
_GUEST = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class UploadForm:
    """Where to POST, and the fields to send before the file."""

    url: str
    fields: dict[str, str]


def upload_form(target: Target, guest: str, seconds: int) -> UploadForm:
    """A form for images under ``incoming/GUEST/``, of at most what is read of an image.

    Signed with the caller's credentials: it allows nothing that these may not, and ends with them.

    Args:
        seconds: how long it can be used.

    Raises:
        UserError: the guest's name does not fit into a key.
    """
    if _GUEST.fullmatch(guest) is None:
        raise UserError(
            f"{guest!r} cannot be a folder's name.",
            "Use small letters, digits and hyphens, 63 at most: imagedrop upload-form alice",
        )
    prefix = f"{INCOMING_PREFIX}{guest}/"
    # The older signature, which boto3 takes in some regions, is refused where KMS encrypts.
    s3 = target.session.client(
        "s3",
        endpoint_url=target.endpoint_url,
        config=target.config.merge(Config(signature_version="s3v4")),
    )
    signed = s3.generate_presigned_post(
        Bucket=target.images_bucket,
        Key=prefix + "${filename}",
        Conditions=[
            ["starts-with", "$key", prefix],
            ["starts-with", "$Content-Type", "image/"],
            ["content-length-range", 1, Limits().max_bytes],
        ],
        ExpiresIn=seconds,
    )
    return UploadForm(signed["url"], signed["fields"])
