"""Whether the functions' bundle fits the Python and the processor that run it."""

from __future__ import annotations

import importlib
import platform
import sys


class BundleError(Exception):
    """The bundle was built for another Python or processor."""


def require_pillow() -> None:
    """Checks that this bundle's Pillow can be loaded here; raises BundleError if not.

    `sam build` fetches Pillow for a Python and a processor that only its parameters name, so
    another Runtime or Architecture at `sam deploy` would show with the first image, not before.
    """
    try:
        for module in ("PIL._imaging", "PIL._avif"):
            importlib.import_module(module)
    except ImportError as error:
        python = f"python{sys.version_info.major}.{sys.version_info.minor}"
        processor = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
        raise BundleError(
            f"the functions' bundle was built for another Python or processor than {python} on "
            f"{processor} ({error}). Build it again, then deploy: sam build --parameter-overrides "
            f"PythonRuntime={python} Architecture={processor}"
        ) from error
