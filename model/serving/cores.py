"""The number of cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Returns the cores that CPU affinity and the container's CPU quota allow, at least 1.

    A quota of 1.5 cores counts as 1: a second thread would only be throttled.
    """
    quota = _quota_v2(cgroup) or _quota_v1(cgroup)
    allowed = _affinity()
    return max(1, min(allowed, int(quota)) if quota else allowed)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota_v2(cgroup: Path) -> float | None:
    """Reads ``cpu.max``: "<quota> <period>" in microseconds, or "max <period>"."""
    fields = _fields(cgroup / "cpu.max")
    if len(fields) != 2 or fields[0] == "max":
        return None
    return int(fields[0]) / int(fields[1])


def _quota_v1(cgroup: Path) -> float | None:
    """Reads the two files of cgroup v1; a quota of -1 means none."""
    quota = _fields(cgroup / "cpu" / "cpu.cfs_quota_us")
    period = _fields(cgroup / "cpu" / "cpu.cfs_period_us")
    if not quota or not period or int(quota[0]) <= 0:
        return None
    return int(quota[0]) / int(period[0])


def _fields(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []
