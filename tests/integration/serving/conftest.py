"""The default model with today's code, extracted from an archive, in its own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.reading import WEIGHTS_NAME, extract_archive
from model.package import DEFAULT_ARCHIVE, package
from tests.integration.serving.server import Server


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model's weights, packaged with the code under test and extracted again."""
    folder = tmp_path_factory.mktemp("archive")
    card = extract_archive(DEFAULT_ARCHIVE, folder / "committed")
    package(folder / "committed" / WEIGHTS_NAME, card, folder / "model.tar.gz")
    extract_archive(folder / "model.tar.gz", folder / "served")
    return folder / "served"


@pytest.fixture(scope="session")
def server(archive: Path) -> Iterator[Server]:
    """A server for tests that leave it as it was."""
    with Server(archive) as started:
        yield started
