"""Gap: PutEvents refuses events of AWS's own, and nothing else sends those of SageMaker.

On AWS only services send events whose source begins with `aws.`; here the SageMaker stand-in is
one, and marks its events. Everybody else is refused, as on AWS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching

# Of `localcloud.sagemaker.training_events`, which this interpreter cannot import.
TRACE_HEADER = "sagemaker-stand-in"
_LOOKS = "ebcda0f38061"


def install() -> None:
    """Let the stand-in's events through to the rules."""
    eventbridge = patching.module("services.eventbridge")

    def from_services_too(original: Callable[..., Any]) -> Callable[..., Any]:
        def put_events(data: dict[str, Any], allow_aws_source: bool = False) -> Any:
            entries = data.get("Entries", [])
            is_service = bool(entries) and all(
                entry.get("TraceHeader") == TRACE_HEADER for entry in entries
            )
            return original(data, allow_aws_source=allow_aws_source or is_service)

        return put_events

    patching.replace(eventbridge, "_put_events", _LOOKS, from_services_too)
