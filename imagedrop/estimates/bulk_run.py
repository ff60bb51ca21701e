"""Estimates a bulk run's chunks, shards, requests, seconds and dollars. Arithmetic only.

``python -m bench.sizing_tables`` prints the tables of docs/bulk.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Annotated

import typer

from bulk.chunks import PARALLEL_CHUNKS
from bulk.plan_transform import (
    DIRECT_PAYLOAD_MB,
    LARGEST_PAYLOAD_MB,
    MEBIBYTE,
    NPY_HEADER_BYTES,
    payload_mb,
)
from bulk.record_chunk import PARALLEL_WRITES
from bulk.run import MOST_WAVES, WAVE_IMAGES
from bulk.turns import parts_of
from imagedrop.estimates import prices
from imagedrop.estimates.changes import changes_cost
from imagedrop.estimates.stack import (
    BULK_CONCURRENCY,
    IMAGE_BYTES,
    LAMBDA_MEGABYTES,
    LAMBDA_SECONDS,
    ORDER_WRITES_PER_IMAGE,
    STEPS_LAMBDA_MEGABYTES,
    WORK_KEPT_DAYS,
    WRITES_PER_IMAGE,
)
from pipeline.classify_images import PARALLEL_IMAGES
from pipeline.table_items import INDEX_PARTITIONS

# --- measured on two cores ---------------------------
# A photo of a usual size; one of 12 megapixels takes 32 ms (docs/decisions/imaging.md).
PREPARE_CPU_MILLISECONDS = 5.0
PREPARE_LARGE_CPU_MILLISECONDS = 32.0
# Our server on two cores answered 274 images/s, one a call (python -m bench.serving); the processor
# had VNNI. Ray Serve answered 112.
SERVED_IMAGES_PER_SECOND_PER_VCPU = 274 / 2
# And 108 JPEG files/s, which it prepares itself.
SERVED_FILES_PER_SECOND_PER_VCPU = 108 / 2
# One GetObject of a photo (python -m bench.drop).
READ_CPU_MILLISECONDS = 2.1
# One conditional write (docs/decisions/pipeline.md: 1.3 to 1.5 ms).
PUT_ITEM_CPU_MILLISECONDS = 1.5

# --- assumed, never measured on AWS ----------------------------------------------------------
READ_MILLISECONDS = 30.0
PUT_ITEM_MILLISECONDS = 10.0
GET_ITEM_MILLISECONDS = 0.1  # 10 ms for a BatchGetItem of 100
WRITE_BYTES_PER_SECOND = 75e6
LIST_PAGE_SECONDS = 0.2
DELETE_PAGE_SECONDS = 1.0  # listing and deleting 1,000 objects
# One function reads one file, and lists once, of one chunk after the other.
PLAN_CHUNK_SECONDS = 2 * READ_MILLISECONDS / 1000 / PARALLEL_CHUNKS
RECONCILE_CHUNK_SECONDS = READ_MILLISECONDS / 1000 / PARALLEL_CHUNKS
INSTANCE_START_SECONDS = 240.0

# --- AWS's limits ----------------------------------------------------------------------------
LIST_PAGE_KEYS = 1_000  # and as many are deleted at once
PREFIX_GETS_PER_SECOND = 5_500
TABLE_WRITES_PER_SECOND = 1_000 * INDEX_PARTITIONS

# --- the workflow's own numbers --------------------------------------------------------------
TRANSITIONS_A_CHUNK = 2  # starting the child workflow and its one task
TRANSITIONS_A_RUN = 10
TRANSITIONS_A_TURN = 12  # itself, three branches with what each does, and whether it was the last
TURNS_BESIDES_WAVES = 2  # a wave is prepared, transformed and recorded in three
# Objects of each shard: its pixels, their names, and the answer.
OBJECTS_A_SHARD = 3
# Of each image, in the files that a complete run keeps: listing and ledger, measured with names of
# 40 characters.
KEPT_BYTES_PER_IMAGE = 380

INSTANCE_VCPUS = {"ml.m5.xlarge": 4, "ml.c5.xlarge": 4, "ml.g5.xlarge": 4}

GIGABYTE = 1024**3
MONTH_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The settings of a run, by their names in the workflow's input; `start` has these options."""

    direct: Annotated[
        bool,
        typer.Option("--direct", help="Send the files to the model unprepared, one a request."),
    ] = False
    instance_type: Annotated[str, typer.Option(help="Instance type of the transform job.")] = (
        "ml.c5.xlarge"
    )
    instance_count: Annotated[int, typer.Option(min=1, help="Number of instances.")] = 1
    max_concurrent_transforms: Annotated[
        int, typer.Option(min=1, help="Concurrent requests to each instance.")
    ] = 2
    chunk_images: Annotated[int, typer.Option(min=1, help="Images per function call.")] = 1000
    shard_images: Annotated[int, typer.Option(min=1, help="Images per request.")] = 64
    wave_images: Annotated[
        int, typer.Option(min=1, help="Images per job and instance; jobs overlap with preparation.")
    ] = WAVE_IMAGES

    @property
    def payload_bytes(self) -> int:
        """Returns the largest request of the transform job: a full shard, or a file if direct."""
        if self.direct:
            return DIRECT_PAYLOAD_MB * MEBIBYTE
        return NPY_HEADER_BYTES + self.shard_images * IMAGE_BYTES

    @property
    def payload_megabytes(self) -> int:
        """Returns MaxPayloadInMB, a whole number."""
        return DIRECT_PAYLOAD_MB if self.direct else payload_mb(self.shard_images, IMAGE_BYTES)

    @property
    def requests_at_once(self) -> int:
        """Returns the requested number, or SageMaker's maximum for this size if that is lower."""
        return min(self.max_concurrent_transforms, LARGEST_PAYLOAD_MB // self.payload_megabytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A run's use of AWS's services, without the transform job's machines."""

    lambda_requests: int
    lambda_gigabyte_seconds: float
    s3_puts: int
    s3_gets: int
    table_reads: int
    table_writes: int
    order_writes: int  # of the index by confidence
    state_transitions: int
    work_bytes: int  # of the shards, which a complete run deletes at its end
    kept_bytes: int  # of the files that stay for WorkRetentionDays


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """The size of one run in which every image is new, readable, and answered in round one."""

    images: int
    chunks: int
    shards: int
    payload_bytes: int
    prepare_chunk_seconds: float
    record_chunk_seconds: float
    job_start_seconds: float  # of each wave's transform job
    job_image_seconds: float  # of a job's images, all its machines together
    waves: int
    phase_seconds: dict[str, float]
    seconds: float  # less than the phases together: waves overlap
    usage: Usage
    cost_dollars: dict[str, float]

    @property
    def dollars(self) -> float:
        return sum(self.cost_dollars.values())


def size_run(
    images: int,
    settings: RunSettings,
    *,
    lambda_concurrency: int = BULK_CONCURRENCY,
    compares: bool = False,
) -> Sizing:
    """Returns the size of a run of so many images.

    Args:
        lambda_concurrency: how many chunks are worked on at once.
        compares: no row is written; the times are those of a run that writes them.

    Raises:
        KeyError: the price of that instance type is not known.
    """
    chunks = ceil(images / settings.chunk_images)
    shards = 0 if settings.direct else _shards(images, settings)
    requests = images if settings.direct else shards
    deleted = images if settings.direct else OBJECTS_A_SHARD * shards
    turns = len(wave_sizes(images, settings)) + TURNS_BESIDES_WAVES
    phases, seconds = _phases(images, settings, lambda_concurrency, deleted)
    used = Usage(
        lambda_requests=2 * chunks
        + ceil(phases["list"] / LAMBDA_SECONDS)
        + ceil(phases["delete"] / LAMBDA_SECONDS)
        + 2 * turns,  # a plan of each wave, and reconcile
        lambda_gigabyte_seconds=_gigabyte_seconds(images, settings, phases),
        # Of each chunk: listing, prepared, ledger, recorded, and what Plan lists.
        s3_puts=ceil(images / LIST_PAGE_KEYS)
        + ceil(deleted / LIST_PAGE_KEYS)
        + 5 * chunks
        + 2 * shards
        + requests,
        # Of each chunk, twice each: run.json, the finished files, listing, prepared and recorded.
        s3_gets=(0 if settings.direct else images) + 10 * chunks + shards + 2 * requests,
        table_reads=images,
        table_writes=0 if compares else images * WRITES_PER_IMAGE,
        order_writes=0 if compares else images * ORDER_WRITES_PER_IMAGE,
        state_transitions=2 * TRANSITIONS_A_CHUNK * chunks
        + TRANSITIONS_A_RUN
        + TRANSITIONS_A_TURN * turns,
        work_bytes=0 if settings.direct else images * IMAGE_BYTES,
        kept_bytes=images * KEPT_BYTES_PER_IMAGE,
    )
    hourly_dollars = prices.TRANSFORM_INSTANCE_HOURS[settings.instance_type].dollars
    transform = phases["transform"] / 3600 * settings.instance_count * hourly_dollars
    return Sizing(
        images=images,
        chunks=chunks,
        shards=shards,
        payload_bytes=settings.payload_bytes,
        prepare_chunk_seconds=_chunk_seconds(_prepare_milliseconds, images, settings),
        record_chunk_seconds=_chunk_seconds(_record_milliseconds, images, settings),
        job_start_seconds=INSTANCE_START_SECONDS,
        job_image_seconds=_job_image_seconds(settings),
        waves=turns - TURNS_BESIDES_WAVES,
        phase_seconds=phases,
        seconds=seconds,
        usage=used,
        cost_dollars={
            "transform": transform,
            **_usage_dollars(used, seconds),
            "history and counters": 0.0 if compares else changes_cost(images),
        },
    )


def _chunk_seconds(share: Callable[[bool], float], images: int, settings: RunSettings) -> float:
    return share(settings.direct) / 1000 * min(settings.chunk_images, images)


def wave_sizes(images: int, settings: RunSettings) -> list[int]:
    """Returns the images of each transform job; as `BulkRun.waves`."""
    chunks = settings.wave_images * settings.instance_count // settings.chunk_images
    size = max(1, chunks, ceil(images / settings.chunk_images / MOST_WAVES)) * settings.chunk_images
    return [min(size, images - start) for start in range(0, images, size)]


def _phases(
    images: int, settings: RunSettings, functions: int, deleted: int
) -> tuple[dict[str, float], float]:
    """Returns the seconds of each phase in all its waves, and those of the run.

    Args:
        functions: how many chunks are worked on at once.
        deleted: the objects that are deleted at the end.
    """
    chunks = ceil(images / settings.chunk_images)
    phases = {
        "list": ceil(images / LIST_PAGE_KEYS) * LIST_PAGE_SECONDS,
        **dict.fromkeys(("prepare", "plan", "transform", "record"), 0.0),
        "reconcile": chunks * RECONCILE_CHUNK_SECONDS,
        "delete": ceil(deleted / LIST_PAGE_KEYS) * DELETE_PAGE_SECONDS,
    }
    seconds = sum(phases.values())
    waves = [0, 0, *wave_sizes(images, settings), 0, 0]
    # In a turn a wave is prepared, the one before transformed, the one before that recorded.
    for recorded, transformed, prepared in zip(waves, waves[1:], waves[2:], strict=False):
        preparing, recording = parts_of(functions, bool(prepared), bool(recorded))
        turn = {
            "prepare": _prepare_seconds(prepared, settings, preparing),
            "plan": ceil(transformed / settings.chunk_images) * PLAN_CHUNK_SECONDS,
            "transform": _transform_seconds(transformed, settings),
            "record": _record_seconds(recorded, settings, recording),
        }
        for phase, each in turn.items():
            phases[phase] += each
        seconds += max(turn["prepare"], turn["plan"] + turn["transform"], turn["record"])
    return phases, seconds


def _prepare_seconds(images: int, settings: RunSettings, functions: int) -> float:
    turns = ceil(ceil(images / settings.chunk_images) / functions)
    reads = 0.0 if settings.direct else images / PREFIX_GETS_PER_SECOND
    return max(turns * _chunk_seconds(_prepare_milliseconds, images, settings), reads)


def _record_seconds(images: int, settings: RunSettings, functions: int) -> float:
    turns = ceil(ceil(images / settings.chunk_images) / functions)
    chunk_seconds = _chunk_seconds(_record_milliseconds, images, settings)
    return max(turns * chunk_seconds, images / TABLE_WRITES_PER_SECOND)


def _gigabyte_seconds(images: int, settings: RunSettings, phases: dict[str, float]) -> float:
    per_image = _prepare_milliseconds(settings.direct) + _record_milliseconds(settings.direct)
    chunks_seconds = images / 1000 * per_image
    steps_seconds = sum(phases[each] for each in ("list", "plan", "reconcile", "delete"))
    return (chunks_seconds * LAMBDA_MEGABYTES + steps_seconds * STEPS_LAMBDA_MEGABYTES) / 1024


def _usage_dollars(used: Usage, run_seconds: float) -> dict[str, float]:
    """Returns dollars by item; shards are paid for the duration of the run."""
    million = 1e6
    a_million_writes = prices.TABLE_MILLION_WRITES.dollars
    a_million_transitions = prices.STEP_FUNCTIONS_MILLION_TRANSITIONS.dollars
    kept_months = used.kept_bytes * WORK_KEPT_DAYS / 30
    byte_months = used.work_bytes * run_seconds / MONTH_SECONDS + kept_months
    return {
        "lambda": used.lambda_gigabyte_seconds * prices.LAMBDA_GB_SECOND.dollars
        + used.lambda_requests / million * prices.LAMBDA_MILLION_REQUESTS.dollars,
        "table": used.table_writes / million * a_million_writes
        + used.table_reads / million * prices.TABLE_MILLION_READS.dollars,
        "table, order by confidence": used.order_writes / million * a_million_writes,
        "s3 requests": used.s3_puts / million * prices.S3_MILLION_PUTS.dollars
        + used.s3_gets / million * prices.S3_MILLION_GETS.dollars,
        "s3 storage of the work files": byte_months / GIGABYTE * prices.S3_GB_MONTH.dollars,
        "step functions": used.state_transitions / million * a_million_transitions,
    }


def _shards(images: int, settings: RunSettings) -> int:
    """Returns the number of shards; none reaches from one chunk into the next."""
    full, rest = divmod(images, settings.chunk_images)
    of_chunk, of_rest = settings.chunk_images / settings.shard_images, rest / settings.shard_images
    return full * ceil(of_chunk) + ceil(of_rest)


def _prepare_milliseconds(direct: bool) -> float:
    """Returns an image's share of its chunk's time: reading its row, and preparing its pixels."""
    if direct:
        return GET_ITEM_MILLISECONDS
    # Reading (waiting) and preparing (computing) run in parallel, writing after them.
    computing = READ_CPU_MILLISECONDS + PREPARE_CPU_MILLISECONDS
    pixels = max(computing, READ_MILLISECONDS / PARALLEL_IMAGES)
    return GET_ITEM_MILLISECONDS + pixels + IMAGE_BYTES / WRITE_BYTES_PER_SECOND * 1000


def _record_milliseconds(direct: bool) -> float:
    row = max(PUT_ITEM_CPU_MILLISECONDS, PUT_ITEM_MILLISECONDS / PARALLEL_WRITES)
    return row + (READ_MILLISECONDS / PARALLEL_WRITES if direct else 0.0)


def _transform_seconds(images: int, settings: RunSettings) -> float:
    return INSTANCE_START_SECONDS + images * _job_image_seconds(settings) if images else 0.0


def _job_image_seconds(settings: RunSettings) -> float:
    of_files, of_images = SERVED_FILES_PER_SECOND_PER_VCPU, SERVED_IMAGES_PER_SECOND_PER_VCPU
    rate = of_files if settings.direct else of_images
    return 1 / (rate * INSTANCE_VCPUS[settings.instance_type] * settings.instance_count)


def problems(settings: RunSettings) -> list[tuple[str, str]]:
    """Returns why AWS would refuse these settings or a function run out of time, with remedies."""
    found = []
    if settings.shard_images > settings.chunk_images:
        found.append(
            (
                f"A shard of {settings.shard_images} images is more than a chunk of "
                f"{settings.chunk_images}.",
                "Raise --chunk-images or lower --shard-images.",
            )
        )
    if settings.payload_megabytes > LARGEST_PAYLOAD_MB:
        found.append(
            (
                f"A shard of {settings.shard_images} images is {settings.payload_megabytes} MB; "
                f"Batch Transform takes {LARGEST_PAYLOAD_MB}.",
                "Lower --shard-images.",
            )
        )
    slowest_seconds = settings.chunk_images * PREPARE_LARGE_CPU_MILLISECONDS / 1000
    if slowest_seconds > LAMBDA_SECONDS and not settings.direct:
        found.append(
            (
                f"A chunk of {settings.chunk_images:,} large photos takes {slowest_seconds:,.0f} s;"
                f" a function has {LAMBDA_SECONDS} s.",
                "Lower --chunk-images.",
            )
        )
    return found


def overlong_steps(sizing: Sizing) -> list[str]:
    """Returns the steps that would exceed their function's time."""
    return [
        f"{step} takes {duration(sizing.phase_seconds[step])}; its function has "
        f"{duration(LAMBDA_SECONDS)}"
        for step in ("plan", "reconcile")
        if sizing.phase_seconds[step] > LAMBDA_SECONDS
    ]


def duration(seconds: float) -> str:
    """Formats a duration: 45 s, 12 min, 3.4 h, 2.1 days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
