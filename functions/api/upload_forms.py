"""Presigned forms that drop one photo each: the only way to write through the stack.

The form is signed by a role that may do nothing else, in a session that may write only this key:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.bodies import UploadRequest
from pipeline.adapters.service_errors import translate_errors

# The shortest session that STS grants; the form ends with it.
SESSION_SECONDS = 900
# A file over a slow line: 32 MB in 15 minutes are 0.3 Mbit/s.
FORM_SECONDS = SESSION_SECONDS
# In a policy, `*`, `?` and `$` mean something, and other characters would take six each.
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9/._ -]")


@dataclass(frozen=True, slots=True)
class UploadForms:
    """Signs forms for one bucket.

    Attributes:
        s3_with: returns a client of S3 with these credentials.
    """

    sts: Any
    s3_with: Callable[[Mapping[str, str]], Any]
    bucket: str
    role_arn: str

    def form(self, request: UploadRequest) -> dict[str, Any]:
        """Returns the form's address, its fields, and the photo's whole key.

        Raises:
            TransientError: STS is busy or did not answer.
        """
        with translate_errors():
            session = self.sts.assume_role(
                RoleArn=self.role_arn,
                RoleSessionName="upload-form",
                DurationSeconds=SESSION_SECONDS,
                Policy=self._policy(request.key),
            )
        signed = self.s3_with(session["Credentials"]).generate_presigned_post(
            Bucket=self.bucket,
            Key=request.key,
            Conditions=[
                ["starts-with", "$Content-Type", "image/"],
                ["content-length-range", request.size_bytes, request.size_bytes],
            ],
            ExpiresIn=FORM_SECONDS,
        )
        return {"url": signed["url"], "fields": signed["fields"], "key": request.key}

    def _policy(self, key: str) -> str:
        partition = self.role_arn.split(":")[1]
        pattern = _NOT_PLAIN.sub("?", key)
        return json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "s3:PutObject",
                        "Resource": f"arn:{partition}:s3:::{self.bucket}/{pattern}",
                    },
                    {"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": "*"},
                ],
            }
        )
