"""One emulator for all contract tests, with nothing but a fake where SageMaker would be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcloud import processes
from tests.integration.emulator.emulator_harness import Emulator, start_emulator
from tests.integration.emulator.fake_sagemaker import running_fake_sagemaker


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that does not enforce IAM."""
    with running_fake_sagemaker() as sagemaker:
        started = start_emulator(tmp_path_factory.mktemp("emulator"), sagemaker)
        try:
            yield started
        finally:
            processes.stop(started.process, grace_seconds=20)
