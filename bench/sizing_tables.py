"""The tables of docs/bulk.md: sizes of bulk runs, what they assume, prices.

.venv/bin/python -m bench.sizing_tables
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bulk.chunks import PARALLEL_CHUNKS
from bulk.plan_transform import MEBIBYTE
from bulk.record_chunk import PARALLEL_WRITES
from imagedrop.estimates import prices
from imagedrop.estimates.bulk_run import (
    DELETE_PAGE_SECONDS,
    GIGABYTE,
    INSTANCE_START_SECONDS,
    KEPT_BYTES_PER_IMAGE,
    LIST_PAGE_SECONDS,
    PREFIX_GETS_PER_SECOND,
    PREPARE_CPU_MILLISECONDS,
    PREPARE_LARGE_CPU_MILLISECONDS,
    PUT_ITEM_CPU_MILLISECONDS,
    PUT_ITEM_MILLISECONDS,
    READ_MILLISECONDS,
    SERVED_FILES_PER_SECOND_PER_VCPU,
    SERVED_IMAGES_PER_SECOND_PER_VCPU,
    TABLE_WRITES_PER_SECOND,
    WRITE_BYTES_PER_SECOND,
    RunSettings,
    Sizing,
    duration,
    size_run,
)
from imagedrop.estimates.stack import WORK_KEPT_DAYS
from pipeline.classify_images import PARALLEL_IMAGES
from pipeline.table_items import INDEX_PARTITIONS


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
            ["`ClassifyConcurrency`", *(str(each.lambda_concurrency) for each in SCENARIOS)],
            ["images a chunk", *(f"{each.settings.chunk_images:,}" for each in SCENARIOS)],
            [
                "chunks",
                *(f"{each.chunks:,}" for each in sized),
            ],
            ["waves, each with a transform job", *(str(each.waves) for each in sized)],
            [
                f"shards of {settings.shard_images} images, "
                f"{settings.payload_bytes / MEBIBYTE:.1f} MiB each",
                *(f"{each.shards:,}" for each in sized),
            ],
            [
                "shards, GiB, until the run ends",
                *(f"{each.usage.work_bytes / GIGABYTE:,.1f}" for each in sized),
            ],
            ["a chunk in Prepare, s", *(f"{each.prepare_chunk_seconds:.1f}" for each in sized)],
            ["a chunk in Record, s", *(f"{each.record_chunk_seconds:.1f}" for each in sized)],
            *(
                [f"phase {phase}", *(duration(each.phase_seconds[phase]) for each in sized)]
                for phase in sized[0].phase_seconds
            ),
            ["**time**", *(f"**{duration(each.seconds)}**" for each in sized)],
            ["Lambda, GB-s", *(f"{each.usage.lambda_gigabyte_seconds:,.0f}" for each in sized)],
            ["S3 PUT and LIST", *(f"{each.usage.s3_puts:,}" for each in sized)],
            ["S3 GET", *(f"{each.usage.s3_gets:,}" for each in sized)],
            ["table writes, indexes included", *(f"{each.usage.table_writes:,}" for each in sized)],
            ["state transitions", *(f"{each.usage.state_transitions:,}" for each in sized)],
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
        "our server on two cores: 274 images/s",
    ],
    [
        "the same in a direct run, whose instances prepare too",
        f"{SERVED_FILES_PER_SECOND_PER_VCPU:g}",
        "our server on two cores: 108 JPEG files/s",
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
    [
        "deleting 1,000 work files",
        f"{DELETE_PAGE_SECONDS:g} s, one after the other",
        ASSUMED,
    ],
    [
        "listing and ledger, which are kept",
        f"{KEPT_BYTES_PER_IMAGE} bytes an image, {WORK_KEPT_DAYS} days",
        "measured; `WorkRetentionDays` in the template",
    ],
    ["S3, reads a second under one prefix", f"{PREFIX_GETS_PER_SECOND:,}", "AWS's documentation"],
    [
        "the table's writes a second",
        f"{TABLE_WRITES_PER_SECOND:,}",
        f"{INDEX_PARTITIONS} partitions of an index of 1,000 each; a new table begins with less",
    ],
)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    print("\n".join(markdown()))
