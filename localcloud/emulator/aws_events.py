"""Gap: PutEvents refuses every source that begins with `aws.`, so SageMaker's events cannot come.

On AWS only services send such events. Here the SageMaker stand-in is the service and marks its
events; all other callers are refused, as on AWS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching

_LOOKS = "ebcda0f38061"


def install(mark: str) -> None:
    """Let events with the trace header `mark` through to the rules, whatever their source."""
    eventbridge = patching.module("services.eventbridge")

    def from_services_too(original: Callable[..., Any]) -> Callable[..., Any]:
        def put_events(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
            entries = data.get("Entries", [])
            is_service = bool(entries) and all(
                entry.get("TraceHeader") == mark for entry in entries
            )
            return original(data, allow_aws_source=allow_aws_source or is_service)

        return put_events

    patching.replace(eventbridge, "_put_events", _LOOKS, from_services_too)
