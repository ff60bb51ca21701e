"""A real stand-in in a subprocess, beside a fake S3 on loopback."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.sagemaker import fake_s3
from tests.integration.sagemaker.fake_s3 import FakeS3
from tests.integration.sagemaker.fake_serving import build_archive
from tests.integration.sagemaker.stand_in import BUCKET, StandIn

VERSIONS = ("v1", "v2", "never-healthy", "crashes", "wishes")


@pytest.fixture(scope="session")
def s3() -> Iterator[FakeS3]:
    with fake_s3.running() as server:
        for version in VERSIONS:
            server.objects[f"{BUCKET}/{version}/model.tar.gz"] = build_archive(version)
        server.objects[f"{BUCKET}/not-an-archive/model.tar.gz"] = b"nothing of the sort"
        yield server


@pytest.fixture
def stand_in(tmp_path: Path, s3: FakeS3) -> Iterator[StandIn]:
    """The test's own stand-in, for tests that stop, kill or restart it."""
    program = StandIn(tmp_path / "sagemaker", s3.url)
    program.start()
    yield program
    if program.process is not None:
        program.end()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, s3: FakeS3) -> Iterator[StandIn]:
    """One stand-in for all tests that leave it running; they use names of their own."""
    program = StandIn(tmp_path_factory.mktemp("sagemaker"), s3.url)
    program.start()
    yield program
    assert program.end() == -signal.SIGTERM  # uvicorn raises the signal again once it is done


@pytest.fixture(scope="session")
def endpoint(shared: StandIn) -> str:
    """A serverless endpoint (4 MB, 2 at once) with version v1 of the fake serving code."""
    shared.create_endpoint("dogs")
    return "dogs"
