"""Drops photos again and again: every one has its row, and no process grows.

.venv/bin/python -m bench.soak --minutes 10
"""

from __future__ import annotations

import argparse
import time

import psutil

from bench.drop import PHOTOS, a_cloud, dead_letters, drop, photos
from imagedrop.local import cloud
from imagedrop.target import local_target

PHOTOS_A_ROUND = 100


def memory_mb(running: cloud.Cloud) -> float:
    """Resident memory of everything the local cloud started."""
    total = 0
    for each in running.processes:
        root = psutil.Process(each.pid)
        for process in (root, *root.children(recursive=True)):
            total += process.memory_info().rss
    return total / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    paths = photos(PHOTOS, PHOTOS_A_ROUND)
    with a_cloud() as running:
        target = local_target(running)
        ends = time.monotonic() + 60 * options.minutes
        dropped = 0
        while time.monotonic() < ends:
            rows_a_second = drop(target, paths)
            dropped += len(paths)
            print(
                f"{dropped:7} dropped, each has its row   {rows_a_second:5.1f} rows/s"
                f"   {memory_mb(running):6.0f} MB   dead letters: {dead_letters(target)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
