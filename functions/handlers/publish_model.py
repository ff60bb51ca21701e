"""``PublishModelFunction``: copies the default model from this bundle into the models bucket.

CloudFormation calls it as the custom resource ``PublishedModel``, before it creates the endpoint,
so one deployment sets up everything, without a manual upload.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from handlers import custom_resource
from pipeline.settings import Settings
from registry.bundle import require_pillow
from registry.default_model import publish_default, withdraw_default
from registry.models_bucket import ModelsBucket

ARCHIVE_PATH = Path(__file__).resolve().parent.parent / "default_model" / "model.tar.gz"


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Publishes the default model, or withdraws it when the resource is deleted."""
    custom_resource.answer(event, context, lambda: change(event))


def change(event: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """Returns the resource's id and its attributes.

    Raises:
        BundleError: the functions, which share this bundle, could not open an image.
    """
    models = ModelsBucket(boto3.client("s3"), Settings().models_bucket)
    if event["RequestType"] == "Delete":
        withdraw_default(models, event["PhysicalResourceId"])
        return event["PhysicalResourceId"], {}
    require_pillow()
    return publish_default(models, ARCHIVE_PATH)
