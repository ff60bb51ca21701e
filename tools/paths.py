"""Folders of the project and of its tools."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[1]
TOOLS = PROJECT / ".tools"
LINT = TOOLS / "lint" / "bin"  # scanners and the bill of materials
