"""500 photos dropped at once: rows a second, and the CPU an image costs, beside simpler ways.

    .venv/bin/python -m bench.drop [--photos FOLDER] [--count 500] [--rounds 3]

Three ways, in turn, over the same deployed stack and the same photos:

- ours: as the template says, up to 25 messages a batch and one endpoint call for all of them;
- one call an image: the same batches, but each endpoint call carries one image;
- one event an image: BatchSize 1 too, what a function without batching does.

CPU is read from the operating system for each process: the functions' workers, the model's
server behind the endpoint, and the emulator with the SageMaker stand-in (their share is what a
run on one machine adds; on AWS it is not there).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from imagedrop.local import cloud
from imagedrop.send import Upload, upload_all, wait_for_rows
from imagedrop.target import Target, local_target
from pipeline.records import Status

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "demo" / "photos"
ONE_IMAGE_PAYLOAD_BYTES = 160_000  # room for one image of 150,528 bytes and its header, not two
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    batch_size: int
    max_payload_bytes: int


WAYS = (
    Way("ours", 25, 4_194_304),
    Way("one call an image", 25, ONE_IMAGE_PAYLOAD_BYTES),
    Way("one event an image", 1, ONE_IMAGE_PAYLOAD_BYTES),
)


@dataclass(frozen=True, slots=True)
class Result:
    rows_a_second: float
    function_ms: float  # CPU ms an image, all workers together
    endpoint_ms: float
    emulator_ms: float


class Processes:
    """CPU seconds so far, by what a process is for."""

    def __init__(self, running: cloud.Cloud) -> None:
        self._roots = [psutil.Process(each.pid) for each in running.processes]

    def cpu_seconds(self) -> dict[str, float]:
        totals = {"function": 0.0, "endpoint": 0.0, "emulator": 0.0}
        for root in self._roots:
            for process in (root, *root.children(recursive=True)):
                try:
                    times, command = process.cpu_times(), " ".join(process.cmdline())
                except psutil.NoSuchProcess:
                    continue
                kind = "emulator" if process == root else "function"
                if "--model-dir" in command:
                    kind = "endpoint"
                totals[kind] += times.user + times.system
        return totals


def photos(folder: Path, count: int) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [found[index % len(found)] for index in range(count)]


@contextmanager
def a_cloud() -> Iterator[cloud.Cloud]:
    with tempfile.TemporaryDirectory() as home:
        try:
            yield cloud.up(Path(home), on_step=lambda step: print(f"  {step}", flush=True))
        finally:
            cloud.down(Path(home))


def set_up(target: Target, way: Way) -> None:
    """Changes the deployed function as a user would on the console, and waits until it is so."""
    stack = target.client("cloudformation")
    name = stack.describe_stack_resource(
        StackName=cloud.STACK_NAME, LogicalResourceId="ClassifyFunction"
    )["StackResourceDetail"]["PhysicalResourceId"]
    functions = target.client("lambda")
    settings = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    settings |= {"MAX_PAYLOAD_BYTES": str(way.max_payload_bytes)}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": settings})
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], BatchSize=way.batch_size)


def drop(target: Target, paths: list[Path]) -> float:
    """Uploads all and waits for all rows. Returns rows a second, from the first upload on."""
    run = uuid.uuid4().hex[:8]
    uploads = [
        Upload(path, f"incoming/{run}/{index}{path.suffix}") for index, path in enumerate(paths)
    ]
    began = time.perf_counter()
    sent = list(upload_all(target, uploads))
    rows = wait_for_rows(
        target, sent, patience_seconds=PATIENCE_SECONDS, on_rows=lambda _count: None
    )
    seconds = time.perf_counter() - began
    if len(rows) != len(paths):
        raise SystemExit(f"{len(paths) - len(rows)} photos have no row")
    if any(record.status is Status.DELETED for record in rows.values()):
        raise SystemExit("a photo was recorded as deleted")
    return len(paths) / seconds


def measure(target: Target, processes: Processes, paths: list[Path]) -> Result:
    before = processes.cpu_seconds()
    rows_a_second = drop(target, paths)
    after = processes.cpu_seconds()
    cost = {kind: 1000 * (after[kind] - before[kind]) / len(paths) for kind in before}
    return Result(rows_a_second, cost["function"], cost["endpoint"], cost["emulator"])


def dead_letters(target: Target) -> int:
    attributes = target.client("sqs").get_queue_attributes(
        QueueUrl=target.outputs["DeadLetterQueueUrl"],
        AttributeNames=["ApproximateNumberOfMessages"],
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    paths = photos(options.photos, options.count)
    results: dict[str, list[Result]] = {way.name: [] for way in WAYS}
    with a_cloud() as running:
        target, processes = local_target(running), Processes(running)
        for _ in range(options.rounds):
            for way in WAYS:
                set_up(target, way)
                drop(target, paths[:50])  # workers started, code loaded
                results[way.name].append(measure(target, processes, paths))
        left = dead_letters(target)
    report(results, len(paths), left)


def report(results: dict[str, list[Result]], count: int, left: int) -> None:
    rounds = len(next(iter(results.values())))
    print(f"{count} photos dropped at once, medians of {rounds} interleaved rounds")
    print(f"{'':20} {'rows/s':>7}  CPU ms an image: function  endpoint  together  emulator")
    ours = 0.0
    for name, each in results.items():
        median = {
            field: statistics.median(getattr(result, field) for result in each)
            for field in ("rows_a_second", "function_ms", "endpoint_ms", "emulator_ms")
        }
        together = statistics.median(each.function_ms + each.endpoint_ms for each in each)
        ours = ours or together
        print(
            f"{name:20} {median['rows_a_second']:7.1f} {median['function_ms']:25.1f}"
            f" {median['endpoint_ms']:9.1f} {together:9.1f} {median['emulator_ms']:9.1f}"
            f"   ours is {ours / together:.2f} of it"
        )
    print(f"dead letters: {left}")


if __name__ == "__main__":
    main()
