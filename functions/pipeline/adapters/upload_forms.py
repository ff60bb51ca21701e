"""Forms by which somebody without AWS credentials uploads exactly one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "incoming/uploads/"
LIFETIME_SECONDS = 300
# What `imaging` reads; a browser tells the type, and S3 holds it to it.
CONTENT_TYPES = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/bmp")


@dataclass(frozen=True, slots=True)
class UploadForms:
    """S3's presigned POST: unlike a presigned PUT, S3 itself refuses what the form does not allow.

    Attributes:
        max_bytes: of one image.
    """

    s3: S3Client
    bucket: str
    max_bytes: int

    def make(self, key: str, content_type: str) -> dict[str, Any]:
        """`url` and `fields` of a form that uploads one object of this key, type and size.

        Args:
            key: below PREFIX.
            content_type: one of CONTENT_TYPES.
        """
        return dict(
            self.s3.generate_presigned_post(
                Bucket=self.bucket,
                Key=key,
                Fields={"Content-Type": content_type},
                Conditions=[
                    {"Content-Type": content_type},
                    ["content-length-range", 1, self.max_bytes],
                ],
                ExpiresIn=LIFETIME_SECONDS,
            )
        )
