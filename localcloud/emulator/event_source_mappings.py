"""Gap: a mapping's numbers and booleans stay strings when they come from template parameters.

MiniStack's poller then fails on every mapping; CloudFormation converts them.
"""

from __future__ import annotations

from typing import Any

from localcloud.emulator import patching

_LOOKS = {"create": "f053a4e8c30c", "update": "aa8165621335"}
_NUMBERS = frozenset({"BatchSize", "MaximumBatchingWindowInSeconds", "MaximumConcurrency"})
_SWITCHES = frozenset({"Enabled"})


def install() -> None:
    """Convert them before MiniStack stores the mapping."""
    patching.extend_resource("AWS::Lambda::EventSourceMapping", _LOOKS, prepare=_typed)


def _typed(props: dict[str, Any]) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for name, value in props.items():
        if name in _NUMBERS:
            typed[name] = int(value)
        elif name in _SWITCHES:
            typed[name] = str(value).lower() == "true"
        elif name == "ScalingConfig":
            typed[name] = _typed(value)
        else:
            typed[name] = value
    return typed
