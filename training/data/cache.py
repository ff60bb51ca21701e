"""The folder in which features and hashes of photos are kept between commands."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache() -> Path:
    """The cache below XDG_CACHE_HOME, by default `~/.cache/imagedrop/features`."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "imagedrop" / "features"
