"""``PublishImageFunction``: CloudFormation's custom resource ``ServingImage``."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from handlers import custom_resource
from pipeline.settings import Settings
from serving_image.container_registry import Repository, connections
from serving_image.publish import Base, Content, publish

logger = logging.getLogger()
logger.setLevel(logging.INFO)

BUNDLE = Path(__file__).resolve().parents[1]
# Python 3.13 on Debian, Docker's official image, as Amazon ECR Public mirrors it: 2026-08-23. The
# function's own Python is 3.13 too: it compiles the byte code.
BASE_REGISTRY_URL = "https://public.ecr.aws"
BASE_REPOSITORY = "docker/library/python"
BASE_DIGEST = "sha256:ffb752e139c0a19692a43af8d8523b274222dd68eebad5d583b45c2201c6e30a"
BASE_SITE_PACKAGES = "usr/local/lib/python3.13/site-packages"
# Serverless endpoints run on x86_64 only.
BASE_ARCHITECTURE = "amd64"


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Publishes the image when the resource is created or updated.

    Deletes nothing: after an update the former image may still start endpoints (a promoted model
    names it), and the repository deletes its images with the stack.
    """
    custom_resource.answer(event, context, lambda: change(event))


def change(event: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """Returns the image's address as the resource's id and as its attribute."""
    if event["RequestType"] == "Delete":
        return event["PhysicalResourceId"], {}
    image = published_image(Settings().repository_uri)
    return image, {"ImageUri": image}


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
    content = Content(
        sorted((BUNDLE / "wheels").glob("*.whl")), (BUNDLE / "serving_image" / "serve").read_bytes()
    )
    target = Repository(http, f"https://{host}", name, authorization())
    with tempfile.TemporaryDirectory() as folder:
        tag = publish(base, content, target, Path(folder), logger.info)
    return f"{repository_uri}:{tag}"


def authorization() -> str:
    """Returns the Authorization header for the account's own registry; good for 12 hours."""
    [data] = boto3.client("ecr").get_authorization_token()["authorizationData"]
    return f"Basic {data['authorizationToken']}"
