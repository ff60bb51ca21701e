"""Folders, tools and environment variables of the local cloud.

The user's AWS settings must not reach its processes: a profile, a session token or an endpoint
would send calls elsewhere, at worst to the real AWS.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
REGION = "us-east-1"
ACCESS_KEY_ID = "test"
# TraceHeader of the events that the SageMaker stand-in sends, as AWS services do.
SERVICE_EVENT_MARK = "sagemaker-stand-in"
SECRET_ACCESS_KEY = "test"  # noqa: S105 - the emulator's fixed one, of no use elsewhere
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


def leading_to(endpoint_url: str, environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with the emulator at `endpoint_url` as its AWS."""
    return {**without_aws(environment), **settings(endpoint_url)}


def settings(endpoint_url: str) -> dict[str, str]:
    """The variables that make any AWS tool use the emulator at `endpoint_url`."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }


def emulator_options() -> list[str]:
    """Options of `localcloud.emulator`, which cannot import this module, for these constants."""
    return [
        *("--region", REGION),
        *("--access-key-id", ACCESS_KEY_ID, "--secret-access-key", SECRET_ACCESS_KEY),
        *("--service-event-mark", SERVICE_EVENT_MARK),
    ]


def default_home() -> Path:
    """Return the folder for state, logs and ports: IMAGEDROP_HOME, else `.imagedrop` here."""
    return Path(os.environ.get("IMAGEDROP_HOME") or REPOSITORY / ".imagedrop")


def tools() -> Path:
    """Return the folder of the tools' virtual environments: IMAGEDROP_TOOLS, else `.tools` here."""
    return Path(os.environ.get("IMAGEDROP_TOOLS") or REPOSITORY / ".tools")


def emulator_python() -> Path:
    """MiniStack's own interpreter; the functions run on it too."""
    return tools() / "ministack" / "bin" / "python"


def sam() -> Path:
    """The SAM CLI."""
    return tools() / "sam" / "bin" / "sam"
