"""What the stand-in remembers: one JSON file, replaced as a whole at every change."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO, Any

Record = dict[str, Any]
_TABLES = (
    *("models", "endpoint_configs", "endpoints", "transform_jobs"),
    *("training_jobs", "tuning_jobs", "model_package_groups", "model_packages", "tags"),
)


class StateInUseError(Exception):
    """Another stand-in already works on this folder."""


class State:
    """The stand-in's tables, name to record; ``save`` makes a change survive a restart."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / "state.json"
        self._lock = _lock(folder / "lock")
        stored = json.loads(self._path.read_bytes()) if self._path.exists() else {}
        tables: dict[str, Any] = {name: stored.get(name, {}) for name in _TABLES}
        self.models: dict[str, Record] = tables["models"]
        self.endpoint_configs: dict[str, Record] = tables["endpoint_configs"]
        self.endpoints: dict[str, Record] = tables["endpoints"]
        self.transform_jobs: dict[str, Record] = tables["transform_jobs"]
        self.training_jobs: dict[str, Record] = tables["training_jobs"]
        self.tuning_jobs: dict[str, Record] = tables["tuning_jobs"]
        self.model_package_groups: dict[str, Record] = tables["model_package_groups"]
        self.model_packages: dict[str, Record] = tables["model_packages"]
        self.tags: dict[str, list[dict[str, str]]] = tables["tags"]

    def save(self) -> None:
        """Write everything beside the file and move it into place: never half a file."""
        content = json.dumps({name: getattr(self, name) for name in _TABLES}, indent=1)
        beside = self._path.with_suffix(".tmp")
        with beside.open("w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def close(self) -> None:
        """Let another stand-in work on the folder."""
        self._lock.close()


def now() -> float:
    """Seconds since the epoch, to the millisecond, as SageMaker's timestamps are."""
    return round(time.time(), 3)


def _lock(path: Path) -> IO[bytes]:
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise StateInUseError(f"another stand-in for SageMaker uses {path.parent}") from error
    return file
