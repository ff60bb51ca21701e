"""Clients for moto: each takes longer to make than most tests, so a process has one of a kind."""

from __future__ import annotations

from functools import cache
from typing import Any

import moto.core  # noqa: F401 - a client made before it is imported would not reach moto
from botocore.config import Config

from pipeline import clients


@cache
def client_of(service: str, region: str = "us-east-1") -> Any:
    """Return a client like those of the functions, but one that validates its parameters."""
    return clients.session().create_client(
        service,
        region,
        config=clients.QUICK.merge(Config(parameter_validation=True)),
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
