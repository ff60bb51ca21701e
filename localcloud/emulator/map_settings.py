"""Gap: a Map's `MaxConcurrencyPath` and the paths of its tolerated failures are ignored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from localcloud.emulator import patching

_MAP_LOOKS = "5df19a8074ce"
_SETTINGS = ("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage")


def install() -> None:
    """Read them from the state's input."""
    sfn = patching.module("services.stepfunctions")
    patching.replace(sfn, "_run_map_items", _MAP_LOOKS, partial(_taking_from_input, sfn))


def _taking_from_input(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def run(state: dict[str, Any], given: Any, execution: Any, ctx: Any) -> Any:
        effective = sfn._apply_input_path(state, given, ctx)
        taken = {
            name: sfn._resolve_path_or_ctx(state[f"{name}Path"], effective, ctx)
            for name in _SETTINGS
            if f"{name}Path" in state
        }
        return original({**state, **taken}, given, execution, ctx)

    return run
