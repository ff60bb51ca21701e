"""How many chunks, shards, requests, seconds and dollars a bulk run is. Arithmetic only.

``python -m imagedrop.estimates.bulk_run`` prints the tables of docs/bulk.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated

import typer

from bulk import prices
from bulk.chunks import PARALLEL_CHUNKS
from bulk.plan_transform import (
    DIRECT_PAYLOAD_MB,
    LARGEST_PAYLOAD_MB,
    MEBIBYTE,
    NPY_HEADER_BYTES,
    payload_mb,
)
from bulk.record_chunk import PARALLEL_WRITES
from pipeline.classify_images import PARALLEL_IMAGES
from pipeline.table_items import INDEX_SHARDS

# --- measured, on the two cores of the machine this was written on ---------------------------
# A photo of a usual size; one of 12 megapixels takes 32 ms (docs/decisions/imaging.md).
PREPARE_CPU_MILLISECONDS = 5.0
PREPARE_LARGE_CPU_MILLISECONDS = 32.0
# The default model, int8, without the server around it (python -m bench).
INFERENCE_CPU_MILLISECONDS = 4.5
# AWS's Ray Serve on two cores answered 103 to 170 images/s (python -m bench); the lower end.
SERVED_IMAGES_PER_SECOND_PER_VCPU = 103 / 2
# One conditional PutItem (docs/decisions/pipeline.md: 1.3 to 1.5 ms).
PUT_ITEM_CPU_MILLISECONDS = 1.5

# --- assumed, never measured on AWS ----------------------------------------------------------
READ_MILLISECONDS = 30.0
PUT_ITEM_MILLISECONDS = 10.0
GET_ITEM_MILLISECONDS = 0.1  # 10 ms for a BatchGetItem of 100
WRITE_BYTES_PER_SECOND = 75e6
LIST_PAGE_SECONDS = 0.2
# One function reads one file, and lists once, of one chunk after the other.
PLAN_CHUNK_SECONDS = 2 * READ_MILLISECONDS / 1000 / PARALLEL_CHUNKS
RECONCILE_CHUNK_SECONDS = READ_MILLISECONDS / 1000 / PARALLEL_CHUNKS
INSTANCE_START_SECONDS = 240.0

# --- AWS's limits ----------------------------------------------------------------------------
LAMBDA_SECONDS = 900
LIST_PAGE_KEYS = 1_000
PREFIX_GETS_PER_SECOND = 5_500
TABLE_WRITES_PER_SECOND = 1_000 * INDEX_SHARDS

# --- the template's, the functions' and the model's own numbers ------------------------------
LAMBDA_MEGABYTES = 1769  # of the functions that prepare and record
SMALL_LAMBDA_MEGABYTES = 512  # of those that list, plan and reconcile
WORK_KEPT_DAYS = 14
IMAGE_BYTES = 224 * 224 * 3
INDEXES = 2
# Starting the child workflow and its one task.
TRANSITIONS_A_CHUNK = 2
TRANSITIONS_A_RUN = 12

INSTANCE_VCPUS = {"ml.m5.xlarge": 4, "ml.c5.xlarge": 4, "ml.g5.xlarge": 4}
BULK_CONCURRENCY = 5

GIGABYTE = 1024**3


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
    chunk_images: Annotated[int, typer.Option(min=1, help="Images a function call.")] = 1000
    shard_images: Annotated[int, typer.Option(min=1, help="Images a request.")] = 64

    @property
    def payload_bytes(self) -> int:
        """The largest request of the transform job: a full shard, or in a direct run a file."""
        if self.direct:
            return DIRECT_PAYLOAD_MB * MEBIBYTE
        return NPY_HEADER_BYTES + self.shard_images * IMAGE_BYTES

    @property
    def payload_megabytes(self) -> int:
        """MaxPayloadInMB, which knows whole numbers."""
        return DIRECT_PAYLOAD_MB if self.direct else payload_mb(self.shard_images, IMAGE_BYTES)

    @property
    def requests_at_once(self) -> int:
        """What is asked for, or as many as SageMaker takes of this size."""
        return min(self.max_concurrent_transforms, LARGEST_PAYLOAD_MB // self.payload_megabytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """One run, when every image is new, readable, and answered in the first round."""

    images: int
    chunks: int
    shards: int
    payload_bytes: int
    prepare_chunk_seconds: float
    record_chunk_seconds: float
    lambda_requests: int
    lambda_gigabyte_seconds: float
    phase_seconds: dict[str, float]
    s3_puts: int
    s3_gets: int
    table_writes: int
    state_transitions: int
    work_bytes: int
    cost_dollars: dict[str, float]

    @property
    def seconds(self) -> float:
        return sum(self.phase_seconds.values())

    @property
    def dollars(self) -> float:
        return sum(self.cost_dollars.values())


def size_run(
    images: int, settings: RunSettings, *, lambda_concurrency: int = BULK_CONCURRENCY
) -> Sizing:
    """
    Args:
        lambda_concurrency: how many chunks are worked on at once.

    Raises:
        KeyError: the price of that instance type is not known.
    """
    hourly_dollars = prices.TRANSFORM_INSTANCE_HOURS[settings.instance_type].dollars
    chunks = ceil(images / settings.chunk_images)
    shards = 0 if settings.direct else _shards(images, settings)
    requests = images if settings.direct else shards
    prepare_chunk = (
        _prepare_milliseconds(settings.direct) / 1000 * min(settings.chunk_images, images)
    )
    record_chunk = _record_milliseconds(settings.direct) / 1000 * min(settings.chunk_images, images)
    waves = ceil(chunks / lambda_concurrency)
    phases = {
        "list": ceil(images / LIST_PAGE_KEYS) * LIST_PAGE_SECONDS,
        "prepare": max(
            waves * prepare_chunk, 0.0 if settings.direct else images / PREFIX_GETS_PER_SECOND
        ),
        "plan": chunks * PLAN_CHUNK_SECONDS,
        "transform": _transform_seconds(images, settings),
        "record": max(waves * record_chunk, images / TABLE_WRITES_PER_SECOND),
        "reconcile": chunks * RECONCILE_CHUNK_SECONDS,
    }
    large_seconds = (
        images
        / 1000
        * (_prepare_milliseconds(settings.direct) + _record_milliseconds(settings.direct))
    )
    small_seconds = phases["list"] + phases["plan"] + phases["reconcile"]
    gigabyte_seconds = (
        large_seconds * LAMBDA_MEGABYTES + small_seconds * SMALL_LAMBDA_MEGABYTES
    ) / 1024
    lambda_requests = 2 * chunks + ceil(phases["list"] / LAMBDA_SECONDS) + 2
    # Of each chunk: listing, prepared, ledger, recorded, and what Plan lists.
    s3_puts = ceil(images / LIST_PAGE_KEYS) + 5 * chunks + 2 * shards + requests
    # Of each chunk: run.json, what is done, listing and prepared, twice each; and recorded.
    s3_gets = (0 if settings.direct else images) + 9 * chunks + shards + 2 * requests
    transitions = 2 * TRANSITIONS_A_CHUNK * chunks + TRANSITIONS_A_RUN
    table_writes = images * (1 + INDEXES)
    work_bytes = 0 if settings.direct else images * IMAGE_BYTES
    cost = {
        "transform": phases["transform"] / 3600 * settings.instance_count * hourly_dollars,
        "lambda": gigabyte_seconds * prices.LAMBDA_GB_SECOND.dollars
        + lambda_requests / 1e6 * prices.LAMBDA_MILLION_REQUESTS.dollars,
        "table": table_writes / 1e6 * prices.TABLE_MILLION_WRITES.dollars
        + images / 1e6 * prices.TABLE_MILLION_READS.dollars,
        "s3 requests": s3_puts / 1e6 * prices.S3_MILLION_PUTS.dollars
        + s3_gets / 1e6 * prices.S3_MILLION_GETS.dollars,
        "s3 storage of the work files": work_bytes
        / GIGABYTE
        * prices.S3_GB_MONTH.dollars
        * WORK_KEPT_DAYS
        / 30,
        "step functions": transitions / 1e6 * prices.STEP_FUNCTIONS_MILLION_TRANSITIONS.dollars,
    }
    return Sizing(
        images=images,
        chunks=chunks,
        shards=shards,
        payload_bytes=settings.payload_bytes,
        prepare_chunk_seconds=prepare_chunk,
        record_chunk_seconds=record_chunk,
        lambda_requests=lambda_requests,
        lambda_gigabyte_seconds=gigabyte_seconds,
        phase_seconds=phases,
        s3_puts=s3_puts,
        s3_gets=s3_gets,
        table_writes=table_writes,
        state_transitions=transitions,
        work_bytes=work_bytes,
        cost_dollars=cost,
    )


def _shards(images: int, settings: RunSettings) -> int:
    """Shards do not reach from one chunk into the next."""
    full, rest = divmod(images, settings.chunk_images)
    return full * ceil(settings.chunk_images / settings.shard_images) + ceil(
        rest / settings.shard_images
    )


def _prepare_milliseconds(direct: bool) -> float:
    """An image's share of its chunk: what the table knows of it, and its pixels."""
    if direct:
        return GET_ITEM_MILLISECONDS
    # Reading waits and preparing computes, side by side; writing comes after.
    pixels = max(PREPARE_CPU_MILLISECONDS, READ_MILLISECONDS / PARALLEL_IMAGES)
    return GET_ITEM_MILLISECONDS + pixels + IMAGE_BYTES / WRITE_BYTES_PER_SECOND * 1000


def _record_milliseconds(direct: bool) -> float:
    row = max(PUT_ITEM_CPU_MILLISECONDS, PUT_ITEM_MILLISECONDS / PARALLEL_WRITES)
    return row + (READ_MILLISECONDS / PARALLEL_WRITES if direct else 0.0)


def _transform_seconds(images: int, settings: RunSettings) -> float:
    rate = (
        SERVED_IMAGES_PER_SECOND_PER_VCPU
        * INSTANCE_VCPUS[settings.instance_type]
        * settings.instance_count
    )
    if settings.direct:
        rate *= INFERENCE_CPU_MILLISECONDS / (INFERENCE_CPU_MILLISECONDS + PREPARE_CPU_MILLISECONDS)
    return INSTANCE_START_SECONDS + images / rate


def problems(settings: RunSettings) -> list[tuple[str, str]]:
    """Why AWS would refuse these settings, or a function run out of time; each with its remedy."""
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
    """The steps of one function a run that would not end in its time."""
    return [
        f"{step} takes {duration(sizing.phase_seconds[step])}; its function has "
        f"{duration(LAMBDA_SECONDS)}"
        for step in ("plan", "reconcile")
        if sizing.phase_seconds[step] > LAMBDA_SECONDS
    ]


# --- the tables of docs/bulk.md --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scenario:
    """A column of the table."""

    title: str
    images: int
    settings: RunSettings
    lambda_concurrency: int

    def size(self) -> Sizing:
        return size_run(self.images, self.settings, lambda_concurrency=self.lambda_concurrency)


SCENARIOS = (
    Scenario("10 thousand", 10_000, RunSettings(), 5),
    Scenario("1 million", 1_000_000, RunSettings(), 5),
    Scenario("1 million, in a hurry", 1_000_000, RunSettings(instance_count=8), 40),
    Scenario("100 million", 100_000_000, RunSettings(instance_count=20, chunk_images=10_000), 40),
)


def markdown() -> Iterator[str]:
    """The tables: sizes, what they assume, prices."""
    sized = [each.size() for each in SCENARIOS]
    settings = RunSettings()
    yield from _table(
        ["", *(each.title for each in SCENARIOS)],
        [
            [f"`{settings.instance_type}` instances"]
            + [str(each.settings.instance_count) for each in SCENARIOS],
            ["`BulkConcurrency`", *(str(each.lambda_concurrency) for each in SCENARIOS)],
            ["images a chunk", *(f"{each.settings.chunk_images:,}" for each in SCENARIOS)],
            [
                "chunks",
                *(f"{each.chunks:,}" for each in sized),
            ],
            [
                f"shards of {settings.shard_images} images, "
                f"{settings.payload_bytes / MEBIBYTE:.1f} MiB each",
                *(f"{each.shards:,}" for each in sized),
            ],
            ["work files, GiB", *(f"{each.work_bytes / GIGABYTE:,.1f}" for each in sized)],
            ["a chunk in Prepare, s", *(f"{each.prepare_chunk_seconds:.1f}" for each in sized)],
            ["a chunk in Record, s", *(f"{each.record_chunk_seconds:.1f}" for each in sized)],
            *(
                [f"phase {phase}", *(duration(each.phase_seconds[phase]) for each in sized)]
                for phase in sized[0].phase_seconds
            ),
            ["**time**", *(f"**{duration(each.seconds)}**" for each in sized)],
            ["Lambda, GB-s", *(f"{each.lambda_gigabyte_seconds:,.0f}" for each in sized)],
            ["S3 PUT and LIST", *(f"{each.s3_puts:,}" for each in sized)],
            ["S3 GET", *(f"{each.s3_gets:,}" for each in sized)],
            ["table writes, indexes included", *(f"{each.table_writes:,}" for each in sized)],
            ["state transitions", *(f"{each.state_transitions:,}" for each in sized)],
            *(
                [f"{what}, $", *(f"{each.cost_dollars[what]:,.2f}" for each in sized)]
                for what in sized[0].cost_dollars
            ),
            ["**cost, $**", *(f"**{each.dollars:,.2f}**" for each in sized)],
            [
                "$ a million images",
                *(f"{each.dollars / each.images * 1e6:,.2f}" for each in sized),
            ],
        ],
    )
    yield ""
    yield from _table(["it assumes", "", "from"], ASSUMPTIONS)
    yield ""
    yield from _table(
        ["price, us-east-1", "$", "noted on; check before quoting"],
        [
            [each.unit, f"{each.dollars:.10f}".rstrip("0").rstrip("."), each.noted_on]
            for each in prices.ALL
        ],
    )


MEASURED = "measured on two cores"
ASSUMED = "assumed, not measured on AWS"
ASSUMPTIONS: Sequence[Sequence[str]] = (
    ["preparing an image, CPU", f"{PREPARE_CPU_MILLISECONDS:g} ms", MEASURED],
    [
        "preparing a photo of 12 megapixels, CPU",
        f"{PREPARE_LARGE_CPU_MILLISECONDS:g} ms",
        MEASURED,
    ],
    [
        "images a second and vCPU of a transform instance",
        f"{SERVED_IMAGES_PER_SECOND_PER_VCPU:g}",
        "AWS's Ray Serve on two cores: 103 to 170 images/s; the lower end",
    ],
    [
        "inference alone, int8, CPU",
        f"{INFERENCE_CPU_MILLISECONDS:g} ms",
        f"{MEASURED}; a direct run's rate is "
        f"{INFERENCE_CPU_MILLISECONDS:g}/{INFERENCE_CPU_MILLISECONDS + PREPARE_CPU_MILLISECONDS:g} "
        "of the above, since its instances prepare too",
    ],
    ["writing a row, CPU", f"{PUT_ITEM_CPU_MILLISECONDS:g} ms", MEASURED],
    [
        "waiting for a row to be written",
        f"{PUT_ITEM_MILLISECONDS:g} ms, {PARALLEL_WRITES} at once",
        ASSUMED,
    ],
    [
        "waiting for an object to be read",
        f"{READ_MILLISECONDS:g} ms, {PARALLEL_IMAGES} at once",
        ASSUMED,
    ],
    ["writing shards", f"{WRITE_BYTES_PER_SECOND / 1e6:g} MB/s a function", ASSUMED],
    ["listing 1,000 keys", f"{LIST_PAGE_SECONDS:g} s, one after the other", ASSUMED],
    [
        "a chunk in Plan, in Reconcile",
        f"{2 * READ_MILLISECONDS:g} ms, {READ_MILLISECONDS:g} ms, {PARALLEL_CHUNKS} at once",
        ASSUMED,
    ],
    [
        "start of a transform job, paid for",
        f"{INSTANCE_START_SECONDS / 60:g} min",
        ASSUMED,
    ],
    ["work files are kept", f"{WORK_KEPT_DAYS} days", "`WorkRetentionDays`"],
    ["S3, reads a second under one prefix", f"{PREFIX_GETS_PER_SECOND:,}", "AWS's documentation"],
    [
        "the table's writes a second",
        f"{TABLE_WRITES_PER_SECOND:,}",
        f"{INDEX_SHARDS} partitions of an index of 1,000 each; a new table begins with less",
    ],
)


def duration(seconds: float) -> str:
    """As one says it: 45 s, 12 min, 3.4 h, 2.1 days."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    print("\n".join(markdown()))
