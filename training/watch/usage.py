"""How busy the machine is, by what Linux and torch tell; no package beside torch."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import torch

from training.watch.profile import Machine, SystemSample

PROC_STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class CoreTicks:
    """How the time of all cores was spent since the machine started."""

    busy: float
    io_wait: float | None
    total: float


class UsageMeter:
    """Samples of the machine's usage, each over the time since the one before."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._last = core_ticks()

    def sample(self) -> SystemSample:
        """Percentages, 0..100."""
        now, before = core_ticks(), self._last
        self._last = now
        total = max(now.total - before.total, 1e-9)
        io_wait = None
        if now.io_wait is not None and before.io_wait is not None:
            io_wait = 100 * (now.io_wait - before.io_wait) / total
        return SystemSample(
            seconds=perf_counter() - self._began,
            cpu=100 * (now.busy - before.busy) / total,
            io_wait=io_wait,
            gpu=gpu_percent(),
            gpu_memory=gpu_memory_percent(),
        )


def core_ticks() -> CoreTicks:
    """Of the whole machine by Linux's /proc/stat; elsewhere of this process and its children.

    proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal; guests are within user.
    """
    if PROC_STAT.exists():
        fields = [int(each) for each in PROC_STAT.read_text().splitlines()[0].split()[1:9]]
        idle, io_wait = fields[3], fields[4]
        return CoreTicks(sum(fields) - idle - io_wait, io_wait, sum(fields))
    times = os.times()
    busy = times.user + times.system + times.children_user + times.children_system
    return CoreTicks(busy, None, times.elapsed * usable_cores())


def gpu_percent() -> float | None:
    """Of the current GPU; None without one, or without the package nvidia-ml-py."""
    if not torch.cuda.is_available() or find_spec("pynvml") is None:
        return None
    return float(torch.cuda.utilization())


def gpu_memory_percent() -> float | None:
    """Of the current GPU's memory, by whomever; None without one."""
    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return 100 * (1 - free / total)


def usable_cores() -> int:
    """Those that this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> Machine:
    """What this process runs on, and how much memory it has had."""
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return Machine(
        cores=usable_cores(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes,
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    )
