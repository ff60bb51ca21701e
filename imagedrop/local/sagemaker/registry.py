"""Where resources are recorded: what every part of the control plane needs."""

from __future__ import annotations

from dataclasses import dataclass

from imagedrop.local.sagemaker.identity import Identity
from imagedrop.local.sagemaker.state import State
from imagedrop.local.sagemaker.tags import Tags


@dataclass(frozen=True, slots=True)
class Registry:
    """The tables, the names in them, and their tags."""

    state: State
    identity: Identity
    tags: Tags
