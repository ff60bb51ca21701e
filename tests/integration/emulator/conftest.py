"""Emulators that the contract tests share, with a fake where SageMaker would be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.emulator.emulator_harness import Emulator, running_emulator


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that does not enforce IAM."""
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that enforces IAM policies."""
    with running_emulator(tmp_path_factory.mktemp("strict"), "--enforce-iam") as running:
        yield running
