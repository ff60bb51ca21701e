"""Shared by the serving tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.serving.tiny_model import write_archive


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The tiny model, extracted."""
    return write_archive(tmp_path)
