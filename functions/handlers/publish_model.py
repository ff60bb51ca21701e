"""``PublishModelFunction``: brings the default model from this bundle into the models bucket.

CloudFormation calls it as the custom resource ``PublishedModel``, before the endpoint exists, so
that one deployment brings everything up and nobody uploads an archive by hand.
"""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from archive.reading import check_archive
from registry.models_bucket import FOLDER_PREFIX, ModelsBucket

logger = logging.getLogger(__name__)

ARCHIVE_PATH = Path(__file__).resolve().parent.parent / "default_model" / "model.tar.gz"
# What a creation that failed is called; deleting it deletes nothing.
NOT_PUBLISHED = "not-published"

# CloudFormation takes an answer of 4,096 bytes; the attributes need less than 1,000 of them.
MAX_REASON_CHARACTERS = 1000
ANSWER_TIMEOUT_SECONDS = 10


def change(event: Mapping[str, Any], models: ModelsBucket) -> tuple[str, dict[str, str]]:
    """Does what CloudFormation asks: returns PhysicalResourceId and attributes.

    Another content is another PhysicalResourceId, and CloudFormation sends a Delete for the old
    one once the endpoint has moved to the new archive, or for the new one after a rollback.

    The attributes are those of the model that a person has promoted, if one has: a deployment
    shall not take back what `imagedrop promote` has done without CloudFormation.
    """
    if event["RequestType"] == "Delete":
        folder = event["PhysicalResourceId"]
        if folder.startswith(FOLDER_PREFIX):  # else nothing was published
            models.withdraw(folder)
        return folder, {}
    archive = check_archive(ARCHIVE_PATH)
    folder = f"{FOLDER_PREFIX}{archive.sha256.hex()[:16]}"
    default = models.publish(archive, folder)
    promoted = models.promotions().current
    image_spec = promoted.image_spec if promoted else archive.card.image_spec.to_json()
    return folder, {
        "ModelDataUrl": promoted.model_data_url if promoted else default.model_data_url,
        "ImageSpec": json.dumps(image_spec, separators=(",", ":"), sort_keys=True),
        "DefaultModelDataUrl": default.model_data_url,
    }


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Answers CloudFormation always: a stack whose resource is silent waits for its timeout."""
    answer: dict[str, object] = {
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "PhysicalResourceId": event.get("PhysicalResourceId", NOT_PUBLISHED),
    }
    try:
        models = ModelsBucket(boto3.client("s3"), os.environ["MODELS_BUCKET"])
        answer["PhysicalResourceId"], answer["Data"] = change(event, models)
        answer["Status"] = "SUCCESS"
    except Exception as error:
        logger.exception("the default model was not published")
        answer["Status"] = "FAILED"
        answer["Reason"] = _reason(error, context)
    _send(event["ResponseURL"], answer)


def _reason(error: Exception, context: Any) -> str:
    where = f" (log stream {context.log_stream_name})"
    return f"{type(error).__name__}: {error}"[: MAX_REASON_CHARACTERS - len(where)] + where


def _send(response_url: str, answer: Mapping[str, object]) -> None:
    """An error here goes up: Lambda calls again, twice, with minutes between."""
    request = urllib.request.Request(  # noqa: S310 - the address is CloudFormation's own
        response_url,
        data=json.dumps(answer).encode(),
        method="PUT",
        headers={"Content-Type": ""},  # the address is signed for an empty one
    )
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS):  # noqa: S310  # nosec B310
        pass
