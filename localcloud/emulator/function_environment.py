"""Gap: functions see the emulator's own packages and environment variables.

On AWS a function sees its bundle, the standard library and the runtime's boto3, nothing else. A
requirement that is missing from the bundle must be missing here, too.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from localcloud.emulator import exceptions, log_ends, patching

_WORKER_SCRIPT_LOOKS = "368800addf4d"
# The packages of AWS's Python runtimes: boto3 and its requirements.
_RUNTIME_PACKAGES = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")
_RUNTIME_DIRECTORY_VARIABLE = "IMAGEDROP_RUNTIME_PACKAGES"
_ISOLATE = f"""
import os as _os, sys as _sys
_runtime = _os.environ.pop("{_RUNTIME_DIRECTORY_VARIABLE}")
_sys.path[:] = [p for p in _sys.path if p and "site-packages" not in p] + [_runtime]
"""


def install(runtime_directory: Path) -> None:
    """Give functions the runtime's packages only.

    Args:
        runtime_directory: where to link those packages; overwritten.
    """
    _link_runtime_packages(runtime_directory)
    os.environ[_RUNTIME_DIRECTORY_VARIABLE] = str(runtime_directory)
    patching.replace(
        patching.module("core.lambda_runtime"),
        "_PYTHON_WORKER_SCRIPT",
        _WORKER_SCRIPT_LOOKS,
        lambda script: _ISOLATE + log_ends.ending_its_log(exceptions.answer_with_class(script)),
    )


def _link_runtime_packages(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in _RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise patching.UnexpectedMiniStackError(
                f"{name}, which AWS's runtime provides, is missing from the emulator's environment"
            )
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        link = directory / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
