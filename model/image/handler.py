"""``PublishImageFunction``: CloudFormation's custom resource ``ServingImage``."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import urllib3

from model.image.publish import Base, Content, publish
from model.image.registry import Repository, connections

logger = logging.getLogger()
logger.setLevel(logging.INFO)

BUNDLE = Path(__file__).resolve().parents[2]
# Python 3.13 on Debian, Docker's official image, as Amazon ECR Public mirrors it: 2026-08-23. The
# function's own Python is 3.13 too: it compiles the byte code.
BASE_REGISTRY_URL = "https://public.ecr.aws"
BASE_REPOSITORY = "docker/library/python"
BASE_DIGEST = "sha256:ffb752e139c0a19692a43af8d8523b274222dd68eebad5d583b45c2201c6e30a"
BASE_SITE_PACKAGES = "usr/local/lib/python3.13/site-packages"
# Serverless endpoints run on x86_64 only.
BASE_ARCHITECTURE = "amd64"

NOT_PUBLISHED = "not-published"
# CloudFormation takes an answer of 4,096 bytes.
MAX_REASON_CHARACTERS = 1000
ANSWER_TIMEOUT_SECONDS = 10


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Publishes the image and answers CloudFormation, which waits until it hears something.

    Deletes nothing: after an update the former image may still start endpoints (a promoted model
    names it), and the repository deletes its images with the stack.
    """
    answer: dict[str, object] = {
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "PhysicalResourceId": event.get("PhysicalResourceId", NOT_PUBLISHED),
        "Status": "SUCCESS",
    }
    try:
        if event["RequestType"] != "Delete":
            image = published_image(os.environ["REPOSITORY_URI"])
            answer["PhysicalResourceId"] = image
            answer["Data"] = {"ImageUri": image}
    except Exception as error:
        logger.exception("the serving image was not published")
        where = f" (log stream {context.log_stream_name})"
        reason = f"{type(error).__name__}: {error}"
        answer["Status"] = "FAILED"
        answer["Reason"] = reason[: MAX_REASON_CHARACTERS - len(where)] + where
    # An error here goes up: Lambda calls again, twice, with minutes between.
    urllib3.request(
        "PUT",
        event["ResponseURL"],
        body=json.dumps(answer).encode(),
        headers={"Content-Type": ""},  # the address is signed for an empty one
        timeout=ANSWER_TIMEOUT_SECONDS,
    )


def published_image(repository_uri: str) -> str:
    """Publishes the image of this bundle; returns its address, tag included.

    Args:
        repository_uri: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME`.

    Raises:
        RegistryError: a registry cannot be reached, denies access, or sends other bytes.
        BaseImageError, LayerError, OSError, ClientError: as their names say.
    """
    host, _, name = repository_uri.partition("/")
    http = connections()
    base = Base(
        Repository(http, BASE_REGISTRY_URL, BASE_REPOSITORY),
        BASE_DIGEST,
        BASE_ARCHITECTURE,
        BASE_SITE_PACKAGES,
    )
    content = Content(sorted((BUNDLE / "wheels").glob("*.whl")), (BUNDLE / "serve").read_bytes())
    target = Repository(http, f"https://{host}", name, authorization())
    with tempfile.TemporaryDirectory() as folder:
        tag = publish(base, content, target, Path(folder), logger.info)
    return f"{repository_uri}:{tag}"


def authorization() -> str:
    """Returns the Authorization header for the account's own registry; good for 12 hours."""
    [data] = boto3.client("ecr").get_authorization_token()["authorizationData"]
    return f"Basic {data['authorizationToken']}"
