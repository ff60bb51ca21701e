"""boto3 sessions that only reach the local cloud, regardless of the user's AWS settings."""

from __future__ import annotations

import functools
import os
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from localcloud.environments import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY

# The settings that botocore would read from the user's environment: (config key, variable, default,
# cast).
_NOT_THE_USERS = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ca_bundle": (None, None, None, None),
    "data_path": (None, None, None, None),
}


def session() -> boto3.Session:
    """Return a session with the emulator's credentials and region that ignores AWS_* and ~/.aws."""
    core = botocore.session.Session(session_vars=_NOT_THE_USERS)
    return boto3.Session(
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        region_name=REGION,
        botocore_session=core,
    )


def client(service: str, endpoint_url: str, config: Config | None = None) -> Any:
    """Return a client for one service of the local cloud; it never uses a proxy.

    Without a `config` of its own it is shared: making one takes a twentieth of a second.
    """
    return (
        _shared(service, endpoint_url) if config is None else _make(service, endpoint_url, config)
    )


@functools.lru_cache(maxsize=64)
def _shared(service: str, endpoint_url: str) -> Any:
    return _make(service, endpoint_url, Config())


def _make(service: str, endpoint_url: str, config: Config) -> Any:
    made: Any = session()  # untyped: the service is a variable
    no_proxy = Config(proxies={})
    return made.client(service, endpoint_url=endpoint_url, config=no_proxy.merge(config))
