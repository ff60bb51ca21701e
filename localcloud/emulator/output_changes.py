"""Gap: a change set that only changes outputs counts as one without changes.

CloudFormation makes an executable change set of it, with an empty list of resource changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching

_DIFF_LOOKS = "a3adfeb75781"

_RESOLVE_LOOKS = "b0f1a995e91f"


class _NoResourceChanges(list[Any]):
    """An empty list that is true, so that the change set is executed."""

    def __bool__(self) -> bool:
        return True


def install() -> None:
    """Make a change set when only outputs differ."""

    def resolve(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def with_outputs(template: dict[str, Any], *rest: Any) -> dict[str, Any]:
            resolved = original(template, *rest)
            # The comparison would see resources only.
            return {**resolved, "Outputs": template.get("Outputs")} if template else resolved

        return with_outputs

    def diff(original: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        def despite_same_resources(
            old: dict[str, Any], new: dict[str, Any], *rest: Any
        ) -> list[Any]:
            changes = original(old, new, *rest)
            if changes or not old or old.get("Outputs") == new.get("Outputs"):
                return changes
            return _NoResourceChanges()

        return despite_same_resources

    changesets = patching.module("services.cloudformation.changesets")
    patching.replace(changesets, "_resolve_props_for_diff", _RESOLVE_LOOKS, resolve)
    patching.replace(changesets, "_diff_resources", _DIFF_LOOKS, diff)
