"""``PublishImageFunction``: CloudFormation's custom resource ``ServingImage``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import boto3

from handlers import custom_resource
from pipeline.settings import Settings
from serving_image.own_image import publish_own_image

logger = logging.getLogger()
logger.setLevel(logging.INFO)


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
    image = publish_own_image(Settings().repository_uri, authorization(), logger.info)
    return image, {"ImageUri": image}


def authorization() -> str:
    """Returns the Authorization header for the account's own registry; good for 12 hours."""
    [data] = boto3.client("ecr").get_authorization_token()["authorizationData"]
    return f"Basic {data['authorizationToken']}"
