"""Where resources are recorded: what every part of the control plane needs."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.sagemaker.identity import Identity
from localcloud.sagemaker.state import State
from localcloud.sagemaker.tags import Tags


@dataclass(frozen=True, slots=True)
class Registry:
    """The tables, the names in them, and their tags."""

    state: State
    identity: Identity
    tags: Tags
