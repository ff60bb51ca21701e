"""The revision of the code that makes a model."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# model.package adds this file to the sources of a training job, where there is no git.
REVISION_NAME = "REVISION"


def code_revision() -> str:
    """Returns the commit, 40 hex digits; with `-changed` if files differ; `unknown` without git."""
    file = ROOT / REVISION_NAME
    if file.exists():
        return file.read_text(encoding="utf-8").strip()
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"{commit}-changed" if changed else commit


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False, timeout=30
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
