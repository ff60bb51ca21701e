"""The answer that CloudFormation waits for when a function is a custom resource."""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

logger = logging.getLogger(__name__)

NOT_PUBLISHED = "not-published"  # PhysicalResourceId of a creation that failed

# CloudFormation takes an answer of 4,096 bytes; the attributes need less than 1,000 of them.
MAX_REASON_CHARACTERS = 1000
ANSWER_TIMEOUT_SECONDS = 10


def answer(
    event: Mapping[str, Any],
    context: Any,
    change: Callable[[], tuple[str, Mapping[str, str]]],
) -> None:
    """Makes the change and always answers CloudFormation, which waits an hour otherwise.

    Args:
        change: returns the PhysicalResourceId and the attributes of the resource. An exception
        fails the deployment, with the error as the reason.
    """
    sent: dict[str, object] = {
        name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")
    }
    sent["PhysicalResourceId"] = event.get("PhysicalResourceId", NOT_PUBLISHED)
    try:
        sent["PhysicalResourceId"], sent["Data"] = change()
        sent["Status"] = "SUCCESS"
    except Exception as error:
        logger.exception("%s was not published", event["LogicalResourceId"])
        where = f" (log stream {context.log_stream_name})"
        reason = f"{type(error).__name__}: {error}"[: MAX_REASON_CHARACTERS - len(where)]
        sent |= {"Status": "FAILED", "Reason": reason + where}
    _send(event["ResponseURL"], sent)


def _send(response_url: str, sent: Mapping[str, object]) -> None:
    """Puts the answer; on an error Lambda retries the call twice, with minutes between."""
    request = urllib.request.Request(  # noqa: S310 - the address is CloudFormation's own
        response_url,
        data=json.dumps(sent).encode(),
        method="PUT",
        headers={"Content-Type": ""},  # the address is signed for an empty one
    )
    with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_SECONDS):  # noqa: S310  # nosec B310
        pass
