"""The names of the two clouds, apart from the SDK, which commands that call neither do not import."""

from __future__ import annotations

from enum import StrEnum


class TargetName(StrEnum):
    LOCAL = "local"
    AWS = "aws"
