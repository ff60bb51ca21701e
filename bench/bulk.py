"""A folder of 2,000 images three ways: packed shards, ``--direct``, and dropped one by one.

    .venv/bin/python -m bench.bulk [--photos FOLDER] [--count 2000] [--rounds 2]
    .venv/bin/python -m bench.bulk --peers      beside other engines: bench/bulk_peers.py

The same files, over the same deployed stack, in turn. Wall time is from the start of the
execution (or of the first upload of a drop) to the last row. Each run is reconciled by name:
every file has exactly one line in the ledger, and one row. A transform job's container ends with
its job, so its CPU is not in the figures; wall time holds it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.bulk_peers import compare
from bench.bulk_run import run_bulk
from bench.drop import PATIENCE_SECONDS, PHOTOS, Processes, a_cloud
from bench.folders import make_folder
from imagedrop.predictions import wait_for_rows
from imagedrop.target import Target, local_target
from imagedrop.uploads import Upload, upload_all

PREFIX = "folders/bench/"


@dataclass(frozen=True, slots=True)
class Result:
    seconds: float
    cpu_ms: dict[str, float]  # an image, by process kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers", action="store_true", help="beside other engines")
    options = parser.parse_args()
    if options.peers:
        compare(options.photos, options.count, options.rounds)
        return
    with tempfile.TemporaryDirectory() as temporary, a_cloud() as running:
        folder = Path(temporary)
        made = make_folder(folder, options.count, options.photos)
        target, processes = local_target(running), Processes(running)
        uploads = [Upload(folder / name, PREFIX + name) for name in made]
        list(upload_all(target.client("s3"), target.images_bucket, uploads))
        ways: dict[str, Callable[[int], None]] = {
            "packed shards": lambda _round: run_bulk(target, made, PREFIX, direct=False),
            "--direct": lambda _round: run_bulk(target, made, PREFIX, direct=True),
            "dropped": lambda round_: drop(target, folder, made, round_),
        }
        results: dict[str, list[Result]] = {name: [] for name in ways}
        for round_ in range(options.rounds):
            for name, way in ways.items():
                before, began = processes.cpu_seconds(), time.perf_counter()
                way(round_)
                seconds = time.perf_counter() - began
                after = processes.cpu_seconds()
                cost = {kind: 1000 * (after[kind] - before[kind]) / len(made) for kind in before}
                results[name].append(Result(seconds, cost))
                print(f"  {name}: {seconds:.1f} s", flush=True)
    report(results, len(made), sum(made.values()))


def drop(target: Target, folder: Path, made: dict[str, bool], round_: int) -> None:
    uploads = [Upload(folder / name, f"incoming/bench-{round_}/{name}") for name in made]
    sent = list(upload_all(target.client("s3"), target.images_bucket, uploads))
    rows = wait_for_rows(
        target, sent, patience_seconds=PATIENCE_SECONDS, on_rows=lambda _count: None
    )
    if len(rows) != len(made):
        raise SystemExit(f"{len(made) - len(rows)} photos have no row")


def report(results: dict[str, list[Result]], count: int, broken: int) -> None:
    rounds = len(next(iter(results.values())))
    print(f"{count} images ({broken} broken), medians of {rounds} interleaved rounds")
    print(f"{'':15} {'seconds':>8} {'images/s':>9}   CPU ms an image, by process")
    direct = statistics.median(each.seconds for each in results["--direct"])
    for name, each in results.items():
        seconds = statistics.median(result.seconds for result in each)
        cost = {
            kind: statistics.median(result.cpu_ms[kind] for result in each)
            for kind in each[0].cpu_ms
        }
        told = ", ".join(f"{kind} {value:.1f}" for kind, value in cost.items())
        print(
            f"{name:15} {seconds:8.1f} {count / seconds:9.1f}   {told}"
            f"   {direct / seconds:.2f} times --direct"
        )


if __name__ == "__main__":
    main()
