"""Where the local cloud keeps its state and finds its tools."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def default_home() -> Path:
    """State, logs and ports of the local cloud: IMAGEDROP_HOME, else `.imagedrop` here."""
    return Path(os.environ.get("IMAGEDROP_HOME") or REPOSITORY / ".imagedrop")


def tools() -> Path:
    """Virtual environments of the tools: IMAGEDROP_TOOLS, else `.tools` here (made by make)."""
    return Path(os.environ.get("IMAGEDROP_TOOLS") or REPOSITORY / ".tools")


def emulator_python() -> Path:
    """MiniStack's own interpreter; the functions run on it too."""
    return tools() / "ministack" / "bin" / "python"


def sam() -> Path:
    """The SAM CLI."""
    return tools() / "sam" / "bin" / "sam"
