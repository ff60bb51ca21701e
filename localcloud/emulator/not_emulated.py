"""Gap: a resource type that MiniStack does not know stops the whole deployment.

The types named here are accepted and do nothing; each one is logged, and `docs/local-cloud.md`
lists them. Another unknown type still stops the deployment.
"""

from __future__ import annotations

import logging
from typing import Any

from localcloud.emulator import patching

NOT_EMULATED = (
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Budgets::Budget",
)
_logger = logging.getLogger("imagedrop.emulator")


def install() -> None:
    """Accept the named types unless MiniStack handles them itself."""
    handlers = patching.module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    for resource_type in NOT_EMULATED:
        handlers.setdefault(resource_type, _do_nothing(resource_type))


def _do_nothing(resource_type: str) -> dict[str, Any]:
    def create(logical_id: str, _props: dict[str, Any], stack_name: str) -> Any:
        _logger.warning("%s (%s) is not emulated", resource_type, logical_id)
        return f"{stack_name}-{logical_id}-not-emulated", {}

    def update(physical_id: str, _old: Any, _new: Any, _stack_name: str) -> Any:
        return physical_id, {}

    def delete(_physical_id: str, _props: Any) -> None:
        return None

    return {"create": create, "update": update, "delete": delete}
