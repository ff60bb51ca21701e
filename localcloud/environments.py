"""What the processes of the local cloud get to see of the user's environment.

Nothing of the user's AWS set-up may reach them: a profile, a session token or an endpoint of the
user's would send calls somewhere else, at worst to the real AWS.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

REGION = "us-east-1"
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"  # noqa: S105 - the emulator's fixed one, worth nothing elsewhere
_FORBIDDEN_PREFIXES = ("AWS_", "BOTO", "MINISTACK_", "LOCALSTACK_", "SAM_", "PYTHON", "LAMBDA_")
_FORBIDDEN = frozenset({"VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "AUTH", "SERVICES", "USE_SSL"})
_LOOPBACK = "127.0.0.1,localhost"


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without the user's AWS, SAM, Python and emulator settings.

    Proxies stay (pip may need them while SAM builds) but never apply to loopback.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_FORBIDDEN_PREFIXES) and name not in _FORBIDDEN
    }
    return {
        **kept,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
    }


def towards(endpoint_url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """An environment whose AWS is the emulator at `endpoint_url`."""
    return {**without_aws(environment), **settings(endpoint_url)}


def settings(endpoint_url: str) -> dict[str, str]:
    """The variables that lead any AWS tool to the emulator at `endpoint_url`."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }
