"""The candidate on trial: a setting in the models bucket, beside the promotions. Like promotions it
is unknown to CloudFormation: trying a model is not a deployment.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from changes.shadow import Shadow
from imaging import ImageSpec
from pipeline.adapters.service_errors import translate_errors
from pipeline.adapters.stored_object import read_object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SHADOW_KEY = "models/shadow.json"
SCHEMA = 1


def read_shadow(s3: S3Client, bucket: str) -> Shadow | None:
    """Reads the setting; None while there is no candidate.

    Raises:
        TransientError: S3 is busy or did not answer.
        ClientError: a permission is missing.
        ValueError: the object is not the setting.
    """
    content = read_object(s3, bucket, SHADOW_KEY)
    if content is None:
        return None
    match json.loads(content):
        case {
            "schema": 1,
            "model": str(model),
            "image_spec": dict(spec),
            "share": int() | float() as share,
        } if 0 < share <= 1:
            return Shadow(model, ImageSpec.from_json(spec), float(share))
        case _:
            raise ValueError(f"{SHADOW_KEY} is not a candidate and its share")


def write_shadow(s3: S3Client, bucket: str, shadow: Shadow) -> None:
    """Replaces the setting; raises TransientError and ClientError."""
    value = {
        "schema": SCHEMA,
        "model": shadow.model,
        "image_spec": shadow.image_spec.to_json(),
        "share": shadow.share,
    }
    with translate_errors():
        s3.put_object(
            Bucket=bucket,
            Key=SHADOW_KEY,
            Body=json.dumps(value).encode(),
            ContentType="application/json",
        )


def delete_shadow(s3: S3Client, bucket: str) -> None:
    """Deletes the setting; does nothing if there is none."""
    with translate_errors():
        s3.delete_object(Bucket=bucket, Key=SHADOW_KEY)
