"""The stand-in's records and their names: one JSON file, replaced at every change."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from localcloud.environments import REGION

Record = dict[str, Any]
_TABLES = (
    *("models", "endpoint_configs", "endpoints", "transform_jobs"),
    *("training_jobs", "tuning_jobs", "model_package_groups", "model_packages"),
)


class StateInUseError(Exception):
    """Another stand-in already works on this folder."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The one region and account of the stand-in."""

    region: str = REGION
    account: str = "000000000000"

    def arn(self, kind: str, name: str) -> str:
        """ARN of a SageMaker resource. SageMaker writes the name in lower case there."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"

    def log_group_arn(self, log_group: str) -> str:
        """ARN of a CloudWatch log group, as ModelError carries it."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{log_group}"


class State:
    """The stand-in's tables, name to record; ``save`` makes a change survive a restart."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.identity = folder, identity
        self._path = folder / "state.json"
        self._lock = _lock(folder / "lock")
        stored = json.loads(self._path.read_bytes()) if self._path.exists() else {}
        tables: dict[str, dict[str, Record]] = {name: stored.get(name, {}) for name in _TABLES}
        self.models = tables["models"]
        self.endpoint_configs = tables["endpoint_configs"]
        self.endpoints = tables["endpoints"]
        self.transform_jobs = tables["transform_jobs"]
        self.training_jobs = tables["training_jobs"]
        self.tuning_jobs = tables["tuning_jobs"]
        self.model_package_groups = tables["model_package_groups"]
        self.model_packages = tables["model_packages"]

    def save(self) -> None:
        """Write a new file beside the old one and move it into place: never half a file."""
        content = json.dumps({name: getattr(self, name) for name in _TABLES}, indent=1)
        beside = self._path.with_suffix(".tmp")
        with beside.open("w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def close(self) -> None:
        """Release the folder for another stand-in."""
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
