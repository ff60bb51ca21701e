"""The model of growth beside the local cloud: the same loads, simulated and measured.

    .venv/bin/python -m bench.growth [--rounds 2] [--output docs/images/growth-validation.svg]

The parts of small loads are timed: an upload and a batch of one image alone, drops of 100, bulk
runs of one chunk and of eight. From them the model says how long loads of other sizes take on the
cores that all parts share here, and these loads run, each between two of the timed ones. Nothing
that is compared is used to predict. It prints and draws both. About four minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.drop import PHOTOS, a_cloud
from bench.folders import make_folder
from bench.growth_charts import draw
from bench.growth_timed import (
    CHUNK_IMAGES,
    Activity,
    Alone,
    Dropped,
    Processor,
    Ran,
    Uploader,
    alone,
    bulk_run,
    drop,
)
from bench.latency import Stack as DeployedStack
from imagedrop.estimates.bulk_run import RunSettings, size_run
from imagedrop.estimates.stack import BULK_CONCURRENCY
from imagedrop.growth.bulk import simulate_bulk
from imagedrop.growth.drop import Outcome, simulate
from imagedrop.growth.figures import Figures, known
from imagedrop.growth.limits import Load, Stack
from imagedrop.growth.machine import Machine
from imagedrop.target import local_target
from localcloud.record import Cloud
from training.reports.axes import Axis
from training.reports.charts import Series

TIMED_DROP, DROPS = 100, (50, 200, 600)
ONE_CHUNK, TIMED_RUN, BULK_RUNS = CHUNK_IMAGES, 8 * CHUNK_IMAGES, (200, 800)
CLOSE = 0.15
NEVER = 1e9  # a rate that nothing waits for


@dataclass(frozen=True, slots=True)
class Compared:
    """A load: its images, and the seconds that it took and that the model says."""

    name: str
    images: int
    measured: float
    simulated: float

    @property
    def ratio(self) -> float:
        return self.simulated / self.measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("docs/images/growth-validation.svg"))
    options = parser.parse_args()
    compared = []
    with tempfile.TemporaryDirectory() as home, a_cloud() as running:
        bench = Bench(running, Path(home), options.photos)
        for _ in range(options.rounds):
            for each in (*bench.drops(), *bench.bulk_runs()):
                print(f"  {told(each)}", flush=True)
                compared.append(each)
    medians = list(by_load(compared))
    print(f"medians of {options.rounds} rounds")
    for each in medians:
        print(told(each))
    worst = max(abs(each.ratio - 1) for each in medians)
    words = "all are" if worst <= CLOSE else "not all are"
    print(f"{words} within {CLOSE:.0%}; the worst is {worst:.0%} off")
    write_plot(medians, options.output)


def told(each: Compared) -> str:
    return (
        f"{each.name} of {each.images}: measured {each.measured:.2f} s, "
        f"simulated {each.simulated:.2f} s, ratio {each.ratio:.2f}"
    )


def by_load(compared: Sequence[Compared]) -> Iterator[Compared]:
    found: defaultdict[tuple[str, int], list[Compared]] = defaultdict(list)
    for each in compared:
        found[each.name, each.images].append(each)
    for (name, images), same in found.items():
        measured = statistics.median(each.measured for each in same)
        yield Compared(name, images, measured, statistics.median(e.simulated for e in same))


class Bench:
    """The running local cloud, with photos to give it."""

    def __init__(self, running: Cloud, home: Path, photos: Path) -> None:
        folder, times = home / "photos", home / "times"
        times.mkdir()
        self._made = make_folder(folder, max(*DROPS, *BULK_RUNS), photos)
        self._running, self._processor = running, Processor(running)
        self._target = target = local_target(running)
        self._uploader = Uploader(target.client("s3"), target.images_bucket, folder)
        self._stack = DeployedStack(target, times)
        # Starts the workers, of which bulk runs have their own.
        self._drop(TIMED_DROP)
        self._run(TIMED_RUN)

    def drops(self) -> Iterator[Compared]:
        names = list(self._made)[:TIMED_DROP]
        one = alone(self._stack, self._processor, self._uploader, names)
        print(f"  alone: {one}", flush=True)
        timed = self._drop(TIMED_DROP)
        for images in DROPS:
            found = self._drop(images)
            before, timed = timed, self._drop(TIMED_DROP)
            outcome = expected_drop(images, one, [before, timed])
            yield Compared("drop", images, found.seconds, outcome.seconds)

    def bulk_runs(self) -> Iterator[Compared]:
        one, timed = self._run(ONE_CHUNK), self._run(TIMED_RUN)
        for images in BULK_RUNS:
            found = self._run(images)
            before, timed = timed, self._run(TIMED_RUN)
            seconds = expected_run(images, one, [before, timed])
            yield Compared("bulk run", images, found.seconds, seconds)

    def _drop(self, images: int) -> Dropped:
        names = list(self._made)[:images]
        found = drop(self._stack, self._processor, self._uploader, names)
        print(f"  {found.told()}", flush=True)
        return found

    def _run(self, images: int) -> Ran:
        made = dict(list(self._made.items())[:images])
        found = bulk_run(self._target, self._running, self._processor, self._uploader, made)
        print(f"  {found.told()}", flush=True)
        return found


def expected_drop(images: int, one: Alone, timed: Sequence[Dropped]) -> Outcome:
    """Returns the model's prediction for a drop.

    A batch's CPU is a part of its own and one for each image: two equations, of batches of one
    image and of the larger ones of the timed drops. A full batch alone says how many cores it uses.
    """
    dropped = sum(len(each.found) for each in timed)
    batches = sum(each.batches for each in timed)
    cpu = sum(each.left.cloud_cpu_seconds for each in timed)
    cpu -= dropped * one.upload_cloud_cpu_seconds
    image_cpu = (cpu - batches * one.batch.cpu_seconds) / (dropped - batches)
    batch_cpu = max(0.0, one.batch.cpu_seconds - image_cpu)
    uses = one.full_batch.uses
    figures = local_figures(batch_cpu / uses, image_cpu / uses)
    cores = statistics.mean(each.left.cores for each in timed)
    machine = Machine(cores, {"upload": one.upload.uses, "batch": uses})
    load = Load(images=images, images_per_second=1 / one.upload.seconds)
    return simulate(load, Stack(classify_concurrency=BULK_CONCURRENCY), figures, machine)


def local_figures(batch_seconds: float, image_seconds: float) -> Figures:
    """Returns this machine's figures: what a batch takes alone, and nothing that waits."""
    return replace(
        known(),
        prepare_cpu_milliseconds=1000 * image_seconds,
        call_milliseconds=1000 * batch_seconds,
        read_cpu_milliseconds=0.0,
        webp_encode_cpu_milliseconds=0.0,
        webp_decode_cpu_milliseconds=0.0,
        served_images_per_second_per_vcpu=NEVER,
        put_item_cpu_milliseconds=0.0,
        put_item_milliseconds=0.0,
        read_milliseconds=0.0,
        event_seconds=0.0,
        function_start_seconds=0.0,
        serverless_start_seconds=0.0,
    )


def expected_run(images: int, one: Ran, timed: Sequence[Ran]) -> float:
    """Returns the model's seconds for a bulk run.

    A chunk's CPU is that of the timed runs, and so are the cores that many chunks get: recording
    is held up by the emulator, which is one process. One chunk alone says how many cores it uses.
    What the job and the steps besides take is a part of their own and one for each image, or
    chunk: two equations, of one chunk and of eight.
    """
    chunks = sum(each.chunks for each in timed)
    mean_images = sum(each.images for each in timed) / len(timed)
    prepare, record = (
        Activity(sum(each.seconds for each in maps), sum(each.cpu_seconds for each in maps))
        for maps in zip(*((each.prepare, each.record) for each in timed), strict=True)
    )

    def at(few: float, more: float) -> float:
        each_image = (more - few) / (mean_images - one.images)
        return few + each_image * (images - one.images)

    settings = RunSettings(chunk_images=CHUNK_IMAGES)
    job_images = at(one.job_images, statistics.mean(each.job_images for each in timed))
    sizing = replace(
        size_run(images, settings),
        prepare_chunk_seconds=prepare.cpu_seconds / chunks / one.prepare.uses,
        record_chunk_seconds=record.cpu_seconds / chunks / one.record.uses,
        job_start_seconds=statistics.mean(each.job_start for each in (one, *timed)),
        job_image_seconds=job_images / images,
        phase_seconds={"reconcile": at(one.others, statistics.mean(e.others for e in timed))},
    )
    uses = {
        "prepare": one.prepare.uses,
        "record": one.record.uses * prepare.uses / record.uses,
    }
    machine = Machine(prepare.uses, uses)
    return simulate_bulk(sizing, settings, BULK_CONCURRENCY, known(), machine).seconds


def write_plot(compared: Sequence[Compared], path: Path) -> None:
    most = 1.1 * max(max(each.measured, each.simulated) for each in compared)
    series = [
        Series("equal", [(0.0, 0.0), (most, most)], has_dots=False),
        *(
            Series(
                f"{each.name}, {each.images} images: {each.ratio:.2f}",
                [(each.measured, each.simulated)],
                is_joined=False,
            )
            for each in compared
        ),
    ]
    draw(path, series, Axis("s, measured", 0, most), Axis("s, simulated", 0, most))
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
