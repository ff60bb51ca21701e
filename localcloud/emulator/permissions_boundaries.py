"""Gap: CloudFormation ignores `PermissionsBoundary`, so a stack's role may do more than on AWS.

MiniStack enforces a boundary that a caller sets through IAM; only the stack's roles lack it.
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
"""

from __future__ import annotations

from functools import partial
from typing import Any

from localcloud.emulator import patching

_LOOKS = {"create": "2d7e3d8ec507", "update": "4f4039080dc1"}


def install() -> None:
    """Set the boundary when a stack creates or updates a role."""
    iam = patching.module("services.iam")
    patching.extend_resource("AWS::IAM::Role", _LOOKS, then=partial(_set_boundary, iam))


def _set_boundary(iam: Any, role_name: str, props: dict[str, Any]) -> None:
    role = iam._roles[role_name]
    role.pop("PermissionsBoundary", None)
    if props.get("PermissionsBoundary"):
        role["PermissionsBoundary"] = props["PermissionsBoundary"]
