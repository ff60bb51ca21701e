"""The names of the two clouds, apart from the SDK: commands that call neither start without it."""

from __future__ import annotations

from enum import StrEnum


class TargetName(StrEnum):
    LOCAL = "local"
    AWS = "aws"
