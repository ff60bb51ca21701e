"""``PublishModelFunction``: copies the default model from this bundle into the models bucket.

CloudFormation calls it as the custom resource ``PublishedModel``, before it makes the endpoint, so
one deployment brings everything up without an upload by hand.
"""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from pipeline.settings import Settings
from registry.default_model import publish_default, withdraw_default
from registry.models_bucket import ModelsBucket

logger = logging.getLogger(__name__)

ARCHIVE_PATH = Path(__file__).resolve().parent.parent / "default_model" / "model.tar.gz"
NOT_PUBLISHED = "not-published"  # PhysicalResourceId of a creation that failed

# CloudFormation takes an answer of 4,096 bytes; the attributes need less than 1,000 of them.
MAX_REASON_CHARACTERS = 1000
ANSWER_TIMEOUT_SECONDS = 10


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Publishes or withdraws, and always answers CloudFormation, which waits an hour otherwise."""
    answer = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    answer["PhysicalResourceId"] = event.get("PhysicalResourceId", NOT_PUBLISHED)
    try:
        models = ModelsBucket(boto3.client("s3"), Settings().models_bucket)
        if event["RequestType"] == "Delete":
            withdraw_default(models, event["PhysicalResourceId"])
        else:
            answer["PhysicalResourceId"], answer["Data"] = publish_default(models, ARCHIVE_PATH)
        answer["Status"] = "SUCCESS"
    except Exception as error:
        logger.exception("the default model was not published")
        where = f" (log stream {context.log_stream_name})"
        reason = f"{type(error).__name__}: {error}"[: MAX_REASON_CHARACTERS - len(where)]
        answer |= {"Status": "FAILED", "Reason": reason + where}
    _send(event["ResponseURL"], answer)


def _send(response_url: str, answer: Mapping[str, object]) -> None:
    """Puts the answer; on an error Lambda retries the call twice, with minutes between."""
    request = urllib.request.Request(  # noqa: S310 - the address is CloudFormation's own
        response_url,
        data=json.dumps(answer).encode(),
        method="PUT",
        headers={"Content-Type": ""},  # the address is signed for an empty one
    )
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS):  # noqa: S310  # nosec B310
        pass
