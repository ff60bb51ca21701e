"""500 photos dropped at once: rows a second, and the CPU an image costs, beside simpler ways.

    .venv/bin/python -m bench.drop [--photos FOLDER] [--count 500] [--rounds 3]

Six ways, in turn, over the same deployed stack and the same photos:

- ours: as in the template, up to 10 messages a batch and one endpoint call for all of them;
- batches of 40: with a batching window of a second, as it was before;
- ours, as npy: the same with pixels as they are, which instances get;
- one call an image: the same batches, but each endpoint call carries one image;
- one event an image: BatchSize 1 too, as in a function without batching;
- written by hand: ``bench/written_by_hand.py``, a plain function without our guarantees.

CPU is read from the operating system for each process: the functions' workers, the model's
server behind the endpoint, and the emulator with the SageMaker stand-in (which
add to a run on one machine only, not on AWS). A run in which a worker was started does not count,
because its imports are not part of an image's cost.

Then ours once more with its steps timed (``bench/measured_classify.py``): the unavoidable
cost of an image, preparing it and the model's run, is the floor of all ways.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
import urllib.request
import uuid
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.standing import OURS, Bar, Section
from imagedrop.estimates.stack import BATCH_IMAGES
from imagedrop.predictions import wait_for_rows
from imagedrop.target import Target, local_target
from imagedrop.uploads import Upload, upload_all
from localcloud import cloud
from pipeline.records import Status

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "demo" / "photos"
ONE_IMAGE_PAYLOAD_BYTES = 160_000  # room for one image of 150,528 bytes and its header, not two
PATIENCE_SECONDS = 120.0
WARM_UP_PHOTOS = 250  # full batches for each of the five workers that the template allows
# Read in classify_steps.py, which is not imported here: it runs in the function.
FOLDER_VARIABLE = "BENCH_STEPS_FOLDER"
STEPS = ("read", "prepare", "call", "write", "rest")
BUNDLED_HERE = ("classify_steps.py", "measured_classify.py", "written_by_hand.py")


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    batch_size: int
    max_payload_bytes: int
    handler: str = "handlers.classify.handler"
    encoding: str = "npy"


WAYS = (
    Way("ours", BATCH_IMAGES, 4_194_304, encoding="webp"),
    Way("batches of 40", 40, 4_194_304, encoding="webp"),
    Way("ours, as npy", BATCH_IMAGES, 4_194_304),
    Way("one call an image", BATCH_IMAGES, ONE_IMAGE_PAYLOAD_BYTES),
    Way("one event an image", 1, ONE_IMAGE_PAYLOAD_BYTES),
    Way("written by hand", 1, ONE_IMAGE_PAYLOAD_BYTES, "written_by_hand.handler"),
)
OURS_IN_STEPS = Way("ours, in steps", BATCH_IMAGES, 4_194_304, "measured_classify.handler", "webp")


@dataclass(frozen=True, slots=True)
class Result:
    rows_a_second: float
    function_ms: float  # CPU ms an image, all workers together
    endpoint_ms: float
    emulator_ms: float


class Processes:
    """CPU seconds so far, by the purpose of a process."""

    def __init__(self, running: cloud.Cloud) -> None:
        self._roots = [psutil.Process(each.pid) for each in running.processes]

    def cpu_seconds(self) -> dict[str, float]:
        totals = {"function": 0.0, "endpoint": 0.0, "emulator": 0.0}
        for kind, process in self._all():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                totals[kind] += times.user + times.system
        return totals

    def workers(self) -> set[int]:
        return {process.pid for kind, process in self._all() if kind == "function"}

    def _all(self) -> Iterator[tuple[str, psutil.Process]]:
        for root in self._roots:
            yield "emulator", root
            for process in root.children(recursive=True):
                try:
                    # Its own, and that of the process that started it: a decoder is part of that.
                    commands = [process.cmdline(), psutil.Process(process.ppid()).cmdline()]
                except psutil.NoSuchProcess:  # a worker of the way before
                    continue
                is_endpoint = any("--model-dir" in command for command in commands)
                yield ("endpoint" if is_endpoint else "function"), process


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


class Function:
    """The deployed ``ClassifyFunction``, changed as a user would on the console."""

    def __init__(self, target: Target) -> None:
        self._functions = target.client("lambda")
        self._name = target.client("cloudformation").describe_stack_resource(
            StackName=cloud.STACK_NAME, LogicalResourceId="ClassifyFunction"
        )["StackResourceDetail"]["PhysicalResourceId"]

    def add_to_bundle(self, paths: list[Path]) -> None:
        address = self._functions.get_function(FunctionName=self._name)["Code"]["Location"]
        never_through_a_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with never_through_a_proxy.open(address) as response:
            bundle = io.BytesIO(response.read())
        with zipfile.ZipFile(bundle, "a", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                archive.write(path, path.name)
        self._functions.update_function_code(FunctionName=self._name, ZipFile=bundle.getvalue())

    def variables(self) -> dict[str, str]:
        """Returns its environment variables."""
        known = self._functions.get_function_configuration(FunctionName=self._name)
        return known["Environment"]["Variables"]

    def change(self, handler: str, variables: dict[str, str]) -> None:
        """Another handler, and more environment variables."""
        self._functions.update_function_configuration(
            FunctionName=self._name,
            Handler=handler,
            Environment={"Variables": self.variables() | variables},
        )

    def set_up(self, way: Way, steps: Path) -> None:
        """Restarts its workers with these settings."""
        self.change(
            way.handler,
            {
                "MAX_PAYLOAD_BYTES": str(way.max_payload_bytes),
                "PIXELS_ENCODING": way.encoding,
                FOLDER_VARIABLE: str(steps),
            },
        )
        # Above 10 messages Lambda requires a window.
        self.change_mapping(way.batch_size, 1 if way.batch_size > 10 else 0)

    def change_mapping(self, batch_size: int, window_seconds: int) -> None:
        """Other batches from the queue."""
        (mapping,) = self._functions.list_event_source_mappings(FunctionName=self._name)[
            "EventSourceMappings"
        ]
        self._functions.update_event_source_mapping(
            UUID=mapping["UUID"],
            BatchSize=batch_size,
            MaximumBatchingWindowInSeconds=window_seconds,
        )


def drop(target: Target, paths: list[Path]) -> float:
    """Uploads all and waits for all rows. Returns rows a second, from the first upload on."""
    run = uuid.uuid4().hex[:8]
    uploads = [
        Upload(path, f"incoming/{run}/{index}{path.suffix}") for index, path in enumerate(paths)
    ]
    began = time.perf_counter()
    sent = list(upload_all(target.client("s3"), target.images_bucket, uploads))
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
    while True:
        workers, before = processes.workers(), processes.cpu_seconds()
        rows_a_second = drop(target, paths)
        after = processes.cpu_seconds()
        if processes.workers() == workers:
            break
    cost = {kind: 1000 * (after[kind] - before[kind]) / len(paths) for kind in before}
    return Result(rows_a_second, cost["function"], cost["endpoint"], cost["emulator"])


def steps_ms(folder: Path) -> dict[str, float]:
    """CPU ms an image by step, of every batch that was written down since the folder was empty."""
    totals: defaultdict[str, float] = defaultdict(float)
    for path in folder.iterdir():
        for line in path.read_text().splitlines():
            for name, value in json.loads(line).items():
                totals[name] += value
        path.unlink()
    return {step: 1000 * totals[step] / totals["images"] for step in STEPS}


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
    results, in_steps, left = run(WAYS, options.photos, paths, options.rounds)
    report(results, len(paths), left)
    report_steps(in_steps, results)


def standing(count: int = 200, rounds: int = 1) -> Section:
    """Measures ours and the function written by hand, and the floor."""
    ours, by_hand = WAYS[0], WAYS[-1]
    results, in_steps, _ = run((ours, by_hand), PHOTOS, photos(PHOTOS, count), rounds)
    values = {
        name: [each.function_ms + each.endpoint_ms for each in runs]
        for name, runs in results.items()
    }
    floor = statistics.median(each["prepare"] + each["endpoint"] for each in in_steps)
    ratio = statistics.median(values[OURS]) / floor
    return Section(
        "drop",
        "From a dropped photo to its row",
        "CPU ms",
        values,
        [Bar("ours / floor ≤ 1.5", ratio, 1.5, False)],
        floor,
        notes=[
            f"{count} photos at once. Function and endpoint together, without the local cloud's "
            "own work. The floor is preparing the photo and the endpoint's process.",
        ],
    )


def run(
    ways: Sequence[Way], folder_of_photos: Path, paths: list[Path], rounds: int
) -> tuple[dict[str, list[Result]], list[dict[str, float]], int]:
    """Drops the photos in each way in turn; then in ours once more, with its steps timed.

    Returns the results by way, CPU ms an image by step of each round, and the dead letters.
    """
    warm_up = photos(folder_of_photos, WARM_UP_PHOTOS)
    results: dict[str, list[Result]] = {way.name: [] for way in ways}
    in_steps: list[dict[str, float]] = []
    with a_cloud() as running, tempfile.TemporaryDirectory() as folder:
        target, processes, steps = local_target(running), Processes(running), Path(folder)
        function = Function(target)
        function.add_to_bundle([Path(__file__).parent / name for name in BUNDLED_HERE])
        for _ in range(rounds):
            for way in ways:
                function.set_up(way, steps)
                drop(target, warm_up)
                results[way.name].append(measure(target, processes, paths))
            function.set_up(OURS_IN_STEPS, steps)
            drop(target, warm_up)
            steps_ms(steps)  # of the warm-up: forgotten
            result = measure(target, processes, paths)
            split = steps_ms(steps)
            split["worker"] = result.function_ms - sum(split.values())
            in_steps.append(split | {"endpoint": result.endpoint_ms})
        return results, in_steps, dead_letters(target)


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


def report_steps(in_steps: list[dict[str, float]], results: dict[str, list[Result]]) -> None:
    """Prints our CPU by step, and the lowest that any way of calling could reach."""
    median = {step: statistics.median(each[step] for each in in_steps) for step in in_steps[0]}
    print("ours in steps, CPU ms an image (worker: the runtime around the handler)")
    print("  " + "  ".join(f"{step} {ms:.1f}" for step, ms in median.items()))
    floor = median["prepare"] + median["endpoint"]
    print(f"  floor: prepare and endpoint, {floor:.1f}, were all the rest free;", end="")
    shares = {
        name: floor / statistics.median(one.function_ms + one.endpoint_ms for one in each)
        for name, each in results.items()
    }
    print(" " + ", ".join(f"{share:.2f} of {name}" for name, share in shares.items()), flush=True)


if __name__ == "__main__":
    main()
