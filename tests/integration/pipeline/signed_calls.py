"""A hook of schemathesis, in its own environment: signs every call, as an API with AWS_IAM asks."""

from __future__ import annotations

import os

import requests
import schemathesis  # type: ignore[import-not-found]
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CREDENTIALS = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])


class Signature(requests.auth.AuthBase):
    """Signature Version 4 with the environment's credentials."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        signed = AWSRequest(str(request.method), str(request.url), data=request.body)
        SigV4Auth(CREDENTIALS, "execute-api", os.environ["AWS_REGION"]).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


schemathesis.auth.set_from_requests(Signature())
