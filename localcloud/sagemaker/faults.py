"""Faults on demand: a test describes faults of transform jobs in one file.

``<state-dir>/faults.json`` is read when a job is created. Without it there are no faults.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from localcloud.sagemaker.errors import ServiceError, validation_exception


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults of a job's objects, by their number in the input's order, from 1.

    Attributes:
        drop_outputs: transformed, and nothing is written.
        truncate_outputs: the first half of the output is written.
        fail_objects: the container answers 500, at every try.
    """

    drop_outputs: tuple[int, ...] = ()
    truncate_outputs: tuple[int, ...] = ()
    fail_objects: tuple[int, ...] = ()

    def to_json(self) -> dict[str, list[int]]:
        """For the job's record: they hold after a restart, too."""
        return {name: list(numbers) for name, numbers in asdict(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, list[int]]) -> Faults:
        """Reads the result of ``to_json``."""
        return cls(**{name: tuple(numbers) for name, numbers in value.items()})


NO_FAULTS = Faults()


class FaultFile:
    """``{"jobs": "*", "throttle_create": 0, "drop_outputs": [], …}``; every member may be absent.

    ``jobs`` is a pattern of job names, ``throttle_create`` the number of calls to
    CreateTransformJob that are throttled, counted from the moment the file was written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0
        self._throttled = 0

    def for_job(self, name: str) -> Faults:
        """The faults of a job that is about to be created.

        Raises:
            ServiceError: this call is to be throttled, or the file is not as described.
        """
        try:
            content, written = self._path.read_bytes(), self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return NO_FAULTS
        wanted = _checked(content)
        if not fnmatchcase(name, wanted.pop("jobs", "*")):
            return NO_FAULTS
        if written != self._written:
            self._written, self._throttled = written, 0
        if self._throttled < wanted.pop("throttle_create", 0):
            self._throttled += 1
            raise ServiceError("ThrottlingException", "Rate exceeded")
        return Faults.from_json(wanted)


def _checked(content: bytes) -> dict[str, Any]:
    try:
        wanted = json.loads(content)
    except ValueError as error:
        raise _unusable(f"not JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise _unusable("not an object")
    for name, value in wanted.items():
        if name == "jobs":
            good = isinstance(value, str)
        elif name == "throttle_create":
            good = _is_number(value) and value >= 0
        elif name in NO_FAULTS.to_json():
            good = isinstance(value, list) and all(_is_number(n) and n >= 1 for n in value)
        else:
            raise _unusable(f"unknown member {name}")
        if not good:
            raise _unusable(f"{name} can not be {json.dumps(value)}")
    return wanted


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _unusable(why: str) -> ServiceError:
    return validation_exception(f"faults.json of the local stand-in for SageMaker: {why}")
