"""The model of growth beside the local cloud: the same loads, measured and simulated.

    .venv/bin/python -m bench.growth [--photos FOLDER] [--output docs/images/growth-validation.svg]

First a drop and two bulk runs are timed: how long a batch, a chunk and other phases take here, on
cores that the functions, the endpoint and the emulator share. With these times instead
of AWS's the model says how long larger loads take, and then they run. It prints both and
their ratio, and draws them. About three minutes.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.bulk import run_bulk
from bench.drop import PHOTOS, a_cloud
from bench.folders import make_folder
from bench.growth_charts import draw
from bench.latency import Stack as DeployedStack
from bench.latency import Timed
from imagedrop.estimates.bulk_run import RunSettings, size_run
from imagedrop.estimates.stack import BULK_CONCURRENCY
from imagedrop.growth.bulk import simulate_bulk
from imagedrop.growth.drop import simulate
from imagedrop.growth.figures import Figures, known
from imagedrop.growth.limits import Load, Stack
from imagedrop.target import Target, local_target
from imagedrop.uploads import Upload, upload_all
from training.reports.axes import Axis
from training.reports.charts import Series

TIMED_DROP = 100  # before and after each drop that is compared: the machine may have other work
DROPS = (200, 400)
TIMED_RUN = 160  # before and after the run that is compared
BULK_RUN = 320
CHUNK_IMAGES = 20
NEVER = 1e9  # a rate that nothing waits for


@dataclass(frozen=True, slots=True)
class Compared:
    """A load: its images, and the seconds that it took and that the model says."""

    name: str
    images: int
    measured: float
    simulated: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--output", type=Path, default=Path("docs/images/growth-validation.svg"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, a_cloud() as running:
        folder, times = Path(home, "photos"), Path(home, "times")
        times.mkdir()
        made = make_folder(folder, max(*DROPS, BULK_RUN), options.photos)
        target = local_target(running)
        stack = DeployedStack(target, times)
        drop(stack, folder, list(made)[:50])  # starts the workers
        compared = drops(stack, folder, list(made))
        report(compared)
        compared.append(bulk_run(target, folder, made))
        report(compared[-1:])
    write_plot(compared, options.output)


def report(compared: Sequence[Compared]) -> None:
    for each in compared:
        ratio = each.simulated / each.measured
        print(
            f"{each.name} of {each.images}: measured {each.measured:.2f} s, "
            f"simulated {each.simulated:.2f} s, ratio {ratio:.2f}",
            flush=True,
        )


def drop(stack: DeployedStack, folder: Path, names: Sequence[str]) -> tuple[float, list[Timed]]:
    """Uploads all at once; returns the images a second that came, and each one's times."""
    prefix = f"incoming/{time.time_ns()}/"
    uploads = [Upload(folder / name, prefix + name) for name in names]
    s3 = stack.target.client("s3")
    list(upload_all(s3, stack.target.images_bucket, uploads))
    found = list(stack.timed([each.key for each in uploads]).values())
    came = [each.sent for each in found]
    return len(found) / (max(came) - min(came)), found


def seconds_of(found: Sequence[Timed]) -> float:
    return max(each.written for each in found) - min(each.sent for each in found)


def drops(stack: DeployedStack, folder: Path, names: Sequence[str]) -> list[Compared]:
    compared = []
    _, timed = drop(stack, folder, names[:TIMED_DROP])
    for images in DROPS:
        rate, found = drop(stack, folder, names[:images])
        before, (_, timed) = timed, drop(stack, folder, names[:TIMED_DROP])
        load = Load(images=images, images_per_second=rate)
        figures = local_figures([*before, *timed])
        outcome = simulate(load, Stack(classify_concurrency=BULK_CONCURRENCY), figures)
        compared.append(Compared("drop", images, seconds_of(found), outcome.seconds))
    return compared


def local_figures(found: Sequence[Timed]) -> Figures:
    """Returns this machine's figures: an image's share of its batch, and nothing that waits."""
    batches = {each.began: each for each in found}.values()
    seconds = sum(each.ended - each.began for each in batches)
    image_milliseconds = 1000 * seconds / sum(each.batch_images for each in batches)
    return replace(
        known(),
        prepare_cpu_milliseconds=image_milliseconds,
        read_cpu_milliseconds=0.0,
        webp_encode_cpu_milliseconds=0.0,
        webp_decode_cpu_milliseconds=0.0,
        served_images_per_second_per_vcpu=NEVER,
        put_item_cpu_milliseconds=0.0,
        put_item_milliseconds=0.0,
        read_milliseconds=0.0,
        call_milliseconds=0.0,
        event_seconds=0.0,
        function_start_seconds=0.0,
        serverless_start_seconds=0.0,
    )


def bulk_run(target: Target, folder: Path, made: dict[str, bool]) -> Compared:
    before, compared, after = (
        timed_run(target, folder, dict(list(made.items())[:count]))
        for count in (TIMED_RUN, BULK_RUN, TIMED_RUN)
    )
    local = expected((before, after), BULK_RUN)
    settings = RunSettings(chunk_images=CHUNK_IMAGES)
    phases = {
        "prepare": 0.0,  # by chunks: the two below
        "transform": local["transform"],
        "record": 0.0,
        "reconcile": local["others"],
    }
    sizing = replace(
        size_run(BULK_RUN, settings),
        prepare_chunk_seconds=local["prepare"],
        record_chunk_seconds=local["record"],
        phase_seconds=phases,
    )
    simulated = simulate_bulk(sizing, settings, BULK_CONCURRENCY, known())
    return Compared("bulk run", BULK_RUN, compared["seconds"], simulated.seconds)


def timed_run(target: Target, folder: Path, made: dict[str, bool]) -> dict[str, Any]:
    prefix = f"folders/growth-{time.time_ns()}/"
    uploads = [Upload(folder / name, prefix + name) for name in made]
    list(upload_all(target.client("s3"), target.images_bucket, uploads))
    sizes = {"chunk_images": CHUNK_IMAGES, "shard_images": CHUNK_IMAGES}
    report = run_bulk(target, made, prefix=prefix, **sizes)
    return report | {"listed": len(made)}


def _rounds(images: int) -> int:
    return math.ceil(math.ceil(images / CHUNK_IMAGES) / BULK_CONCURRENCY)


def expected(timed: Sequence[dict[str, Any]], images: int) -> dict[str, float]:
    """Returns the seconds of a chunk in both steps, of the job, and of what no image adds to."""
    listed = sum(report["listed"] for report in timed)
    steps = {
        step: sum(report["function_seconds"][step] for report in timed) / listed * CHUNK_IMAGES
        for step in ("prepare", "record")
    }
    jobs = [sum(job["seconds"] for job in report["transform_jobs"]) for report in timed]
    # A step takes whole rounds of chunks, the last of which may leave places idle.
    others = [
        report["seconds"] - job - sum(steps.values()) * _rounds(report["listed"])
        for report, job in zip(timed, jobs, strict=True)
    ]
    return steps | {
        "transform": sum(jobs) / listed * images,
        "others": max(0.0, statistics.mean(others)),
    }


def write_plot(compared: Sequence[Compared], path: Path) -> None:
    most = 1.1 * max(max(each.measured, each.simulated) for each in compared)
    series = [
        Series("equal", [(0.0, 0.0), (most, most)], has_dots=False),
        *(
            Series(
                f"{each.name}, {each.images} images",
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
