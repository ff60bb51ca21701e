"""How busy the machine is, by psutil and torch."""

from __future__ import annotations

import resource
import sys
from importlib.util import find_spec
from time import perf_counter

import psutil
import torch

from training.watch.profile import Machine, SystemSample


def sample_usage(since: float) -> SystemSample:
    """Percentages of all cores, 0..100, of whatever runs on them since the call before.

    The first call only starts the clock.

    Args:
        since: the moment that the sample's time counts from, of `perf_counter`.
    """
    times = psutil.cpu_times_percent()
    io_wait = getattr(times, "iowait", None)  # known on Linux
    return SystemSample(
        seconds=perf_counter() - since,
        cpu=max(0.0, 100 - times.idle - (io_wait or 0.0)),
        io_wait=io_wait,
        gpu=gpu_percent(),
        gpu_memory=gpu_memory_percent(),
    )


def gpu_percent() -> float | None:
    """Utilisation of the current GPU; None without one, or without the package nvidia-ml-py."""
    if not torch.cuda.is_available() or find_spec("pynvml") is None:
        return None
    return float(torch.cuda.utilization())


def gpu_memory_percent() -> float | None:
    """Used memory of the current GPU, by all processes; None without one."""
    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    return 100 * (1 - free / total)


def usable_cores() -> int:
    """The number of cores that this process may run on."""
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return len(process.cpu_affinity())
    return psutil.cpu_count() or 1


def machine() -> Machine:
    """Describes what this process runs on, and its peak memory."""
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return Machine(
        cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        # psutil knows no peak on Linux.
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobytes,
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    )
