"""Unit tests open no sockets and know no AWS account."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
import typer.testing
from pytest_socket import disable_socket

from tests import quick_moto, quick_sdk
from tests.partiql_inserts import take_inserts


@pytest.fixture(autouse=True)
def no_sockets_and_no_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # asyncio's event loop needs a socket pair of its own.
    disable_socket(allow_unix_socket=True)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    # The features of photos are kept there.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(scope="session", autouse=True)
def motos_dynamodb_takes_inserts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        take_inserts(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_aws() -> Iterator[pytest.MonkeyPatch]:
    """moto and botocore, quicker; whoever undoes it has them as they come."""
    with pytest.MonkeyPatch.context() as patch:
        quick_moto.quicken(patch)
        quick_sdk.quicken(patch)
        yield patch


@pytest.fixture(scope="session", autouse=True)
def the_command_line_is_built_once() -> Iterator[None]:
    """Keep what Typer builds of all commands, which takes longer than most commands of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        yield
