"""ONNX Runtime with its telemetry off: the only module that imports `onnxruntime`.

Its wheels report to their maker by default: making a session writes a device id and an event
database under ``~/.cache/Microsoft`` and looks up a host name to send them to. The variable is
read when the library is loaded, so it is set before the import.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime  # type: ignore[import-untyped]

__all__ = ["onnxruntime"]
