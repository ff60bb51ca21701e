"""CPU seconds of a tree of processes by their roles, those that have ended included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

import psutil

RoleOf = Callable[[list[str]], str]
"""Takes a process' command, returns its role."""


def cpu_by_role(roots: Mapping[int, str], role_of: RoleOf) -> Counter[str]:
    """Returns the CPU seconds so far of some processes and all that they started.

    Args:
        roots: process ids, and the role that processes have that these started and that have
            ended: the operating system adds their time to that of the process that waits for them.
        role_of: the role of a living process.
    """
    seconds: Counter[str] = Counter()
    for pid, role_of_ended in roots.items():
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times, role = process.cpu_times(), role_of(process.cmdline())
                seconds[role] += times.user + times.system
                ended = role_of_ended if process == root else role
                seconds[ended] += times.children_user + times.children_system
    return seconds
