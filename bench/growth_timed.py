"""The CPU and seconds of the parts of a drop and of a bulk run on this machine.

``bench.growth`` gives them to the model of growth. An activity's *seconds alone* are those that it
takes while nothing else works, and *uses* how many cores are busy meanwhile, on average. CPU is
read from the operating system for the local cloud's processes, all of them together.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.bulk_run import run_bulk
from bench.cpu_by_role import cpu_by_role
from bench.latency import MAPPINGS, Mapping, Timed
from bench.latency import Stack as DeployedStack
from imagedrop.bulk.runs import bulk_runs
from imagedrop.estimates.stack import BATCH_IMAGES
from imagedrop.target import Target
from imagedrop.uploads import Upload, upload_all
from localcloud.record import Cloud

CHUNK_IMAGES = 20
LONELY_IMAGES = 20
FULL_BATCHES, WINDOW_SECONDS = 6, 2
SAMPLE_SECONDS = 0.25
MAP_RUNS = ("Prepare", "Record")


@dataclass(frozen=True, slots=True)
class Activity:
    """Seconds alone, and the CPU seconds in them."""

    seconds: float
    cpu_seconds: float

    @property
    def uses(self) -> float:
        return self.cpu_seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Left:
    """CPU of the local cloud and of this process while something ran, and cores for them."""

    cloud_cpu_seconds: float
    own_cpu_seconds: float
    cores: float


class Processor:
    """The CPU of the local cloud, and what other processes leave to it and to this one."""

    def __init__(self, running: Cloud) -> None:
        self._roots = {each.pid: "cloud" for each in running.processes}

    def cloud_seconds(self) -> float:
        return cpu_by_role(self._roots, lambda _: "cloud")["cloud"]

    @contextmanager
    def left(self) -> Iterator[list[Left]]:
        """Yields a list that holds, once it is over, how it was."""
        found: list[Left] = []
        before, began = self._now(), time.monotonic()
        yield found
        after, seconds = self._now(), time.monotonic() - began
        cloud, own, idle = (late - early for early, late in zip(before, after, strict=True))
        found.append(Left(cloud, own, (cloud + own + idle) / seconds))

    def _now(self) -> tuple[float, float, float]:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
        idle = (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")
        return self.cloud_seconds(), time.process_time(), idle


class Samples:
    """The local cloud's CPU seconds over time, looked at four times a second."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._points: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Samples:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._points.append((time.time(), self._seconds()))

    def _run(self) -> None:
        while not self._over.is_set():
            self._points.append((time.time(), self._seconds()))
            self._over.wait(SAMPLE_SECONDS)

    def between(self, began: float, ended: float) -> float:
        return self._at(ended) - self._at(began)

    def _at(self, moment: float) -> float:
        """Between two looks the CPU grows evenly."""
        before = max(point for point in self._points if point[0] <= moment)
        after = min(point for point in self._points if point[0] >= moment)
        if after[0] == before[0]:
            return before[1]
        share = (moment - before[0]) / (after[0] - before[0])
        return before[1] + share * (after[1] - before[1])


@dataclass(frozen=True, slots=True)
class Uploader:
    """A folder of photos, and the client that uploads them: making one takes as long as 30 do."""

    s3: Any
    bucket: str
    folder: Path

    def upload(self, names: Sequence[str], prefix: str) -> list[str]:
        """Uploads files under this prefix, several at once; returns their keys."""
        uploads = [Upload(self.folder / name, prefix + name) for name in names]
        list(upload_all(self.s3, self.bucket, uploads))
        return [each.key for each in uploads]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A drop: the seconds from its first message to its last row, and each image's times."""

    found: list[Timed]
    left: Left

    @property
    def seconds(self) -> float:
        return max(each.written for each in self.found) - min(each.sent for each in self.found)

    @property
    def batches(self) -> int:
        return len({each.began for each in self.found})

    @property
    def at_once(self) -> float:
        """Returns how many batches were at work on average."""
        spans = {(each.began, each.ended) for each in self.found}
        return sum(ended - began for began, ended in spans) / self.seconds

    def told(self) -> str:
        cpu_ms = 1000 * self.left.cloud_cpu_seconds / len(self.found)
        return (
            f"{len(self.found)} dropped: {cpu_ms:.1f} ms of CPU an image in the local cloud, "
            f"{self.at_once:.1f} batches at once, {self.left.cores:.2f} cores left"
        )


def drop(
    stack: DeployedStack, processor: Processor, uploader: Uploader, names: Sequence[str]
) -> Dropped:
    """Uploads all at once and waits for the rows."""
    with processor.left() as left:
        found = stack.timed(uploader.upload(names, f"incoming/{time.time_ns()}/"))
    return Dropped(list(found.values()), left[0])


@dataclass(frozen=True, slots=True)
class Alone:
    """The time of an image while nothing else runs: its upload, and a batch of one.

    Attributes:
        upload: of many at once, to where nothing looks at them; its share of the seconds, and the
            CPU of both sides.
        upload_cloud_cpu_seconds: the local cloud's part of that.
        batch: from the message to the end of its function; without the upload.
        full_batch: of ten images that waited for each other, from its beginning to its end.
    """

    upload: Activity
    upload_cloud_cpu_seconds: float
    batch: Activity
    full_batch: Activity


def alone(
    stack: DeployedStack, processor: Processor, uploader: Uploader, names: Sequence[str]
) -> Alone:
    began = time.monotonic()
    with processor.left() as left:
        uploader.upload(names, f"folders/{time.time_ns()}/")
    seconds, count = time.monotonic() - began, len(names)
    cloud, own = left[0].cloud_cpu_seconds / count, left[0].own_cpu_seconds / count
    waited = []
    few = names[:LONELY_IMAGES]
    with processor.left() as left:
        for name in few:
            (key,) = uploader.upload([name], f"incoming/{time.time_ns()}/")
            waited.append(stack.timed([key])[key])
    batch = Activity(
        statistics.mean(each.ended - each.sent for each in waited),
        left[0].cloud_cpu_seconds / len(few) - cloud,
    )
    return Alone(
        Activity(seconds / count, cloud + own),
        cloud,
        batch,
        _full_batch(stack, processor, uploader, names, cloud),
    )


def _full_batch(
    stack: DeployedStack,
    processor: Processor,
    uploader: Uploader,
    names: Sequence[str],
    upload_cloud_cpu_seconds: float,
) -> Activity:
    """Times full batches, one after the other: with a window the mapping waits for ten images."""
    stack.use(Mapping("full batches", BATCH_IMAGES, WINDOW_SECONDS))
    found: list[Timed] = []
    with processor.left() as left:
        for _ in range(FULL_BATCHES):
            keys = uploader.upload(names[:BATCH_IMAGES], f"incoming/{time.time_ns()}/")
            found += stack.timed(keys).values()
    stack.use(MAPPINGS[0])
    spans = {(each.began, each.ended) for each in found}
    cpu = left[0].cloud_cpu_seconds - len(found) * upload_cloud_cpu_seconds
    return Activity(sum(ended - began for began, ended in spans), cpu)


@dataclass(frozen=True, slots=True)
class Ran:
    """A bulk run: its seconds, those of its parts, and the CPU seconds of chunks.

    Attributes:
        job_start: seconds until the transform job's container was asked for the first time.
        job_images: seconds from then to the job's end.
        others: seconds besides: listing, turns, plans, reconciling, deleting, and AWS's looks at
            the job.
    """

    images: int
    seconds: float
    prepare: Activity
    record: Activity
    job_start: float
    job_images: float
    left: Left

    def told(self) -> str:
        return (
            f"{self.images} in bulk: prepare {self.prepare.seconds:.2f} s and "
            f"{self.prepare.cpu_seconds:.2f} s of CPU, job {self.job_start:.2f} + "
            f"{self.job_images:.2f} s, record {self.record.seconds:.2f} s and "
            f"{self.record.cpu_seconds:.2f} s of CPU, others {self.others:.2f} s, "
            f"{self.left.cores:.2f} cores left"
        )

    @property
    def chunks(self) -> int:
        return -(-self.images // CHUNK_IMAGES)

    @property
    def others(self) -> float:
        maps = self.prepare.seconds + self.record.seconds
        return self.seconds - maps - self.job_start - self.job_images


def bulk_run(
    target: Target, running: Cloud, processor: Processor, uploader: Uploader, made: dict[str, bool]
) -> Ran:
    """Uploads the images into a folder and runs them in one wave, in small chunks and shards."""
    prefix = f"folders/growth-{time.time_ns()}/"
    uploader.upload(list(made), prefix)
    with processor.left() as left, Samples(processor.cloud_seconds) as samples:
        report = run_bulk(
            target, made, prefix=prefix, chunk_images=CHUNK_IMAGES, shard_images=CHUNK_IMAGES
        )
    spans = _map_runs(target, report["run"])
    maps = {
        label: Activity(ended - began, samples.between(began, ended))
        for label, (began, ended) in spans.items()
    }
    (job,) = report["transform_jobs"]
    start = _job_start(target, running, job["name"])
    return Ran(
        len(made),
        report["seconds"],
        maps["Prepare"],
        maps["Record"],
        start,
        job["seconds"] - start,
        left[0],
    )


def _map_runs(target: Target, run: str) -> dict[str, tuple[float, float]]:
    """Returns when the run's Maps began and ended."""
    functions = target.client("stepfunctions")
    execution = bulk_runs(target).last_execution(run)
    machine = target.outputs["BulkStateMachineArn"]
    arn = f"{machine.replace(':stateMachine:', ':execution:', 1)}:{execution.name}"
    found = {}
    for each in functions.list_map_runs(executionArn=arn)["mapRuns"]:
        label = next(label for label in MAP_RUNS if f"/{label}:" in each["mapRunArn"])
        found[label] = (each["startDate"].timestamp(), each["stopDate"].timestamp())
    return found


def _job_start(target: Target, running: Cloud, name: str) -> float:
    """Returns the seconds from the job's start to its data log's first line."""
    home = Path(running.processes[0].log).parents[1]
    log = home / "sagemaker" / "logs" / "TransformJobs" / f"{name}-data.log"
    asked = datetime.fromisoformat(log.read_text().split(":[", 1)[0] + "+00:00")
    job: dict[str, Any] = target.client("sagemaker").describe_transform_job(TransformJobName=name)
    started: datetime = job["TransformStartTime"]
    return (asked - started).total_seconds()
