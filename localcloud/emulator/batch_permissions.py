"""Gap: batch calls require permissions that do not exist.

On AWS `SendMessageBatch` needs `sqs:SendMessage`, and likewise for the other two. DynamoDB's
`BatchExecuteStatement` needs those of its statements, here of INSERT, the only one in use.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching

_LOOKS = "ec476b92d969"
_SINGLE = {
    f"sqs:{name}Batch": f"sqs:{name}"
    for name in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")
} | {"dynamodb:BatchExecuteStatement": "dynamodb:PartiQLInsert"}


def install() -> None:
    """Ask for the permission of the single call."""
    actions = patching.module("core.iam_actions")

    def single(original: Callable[..., Any]) -> Callable[..., Any]:
        def extract_iam_action(*arguments: Any, **named: Any) -> str | None:
            action: str | None = original(*arguments, **named)
            return _SINGLE.get(action or "", action)

        return extract_iam_action

    patching.replace(actions, "extract_iam_action", _LOOKS, single)
