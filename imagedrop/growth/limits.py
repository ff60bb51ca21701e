"""The rate of a deployed stack, by arithmetic: the times of a batch, and each limit."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from imagedrop.estimates.stack import BATCH_IMAGES, ENDPOINT_INSTANCES, ENDPOINT_MEGABYTES
from imagedrop.growth.figures import Figures
from pipeline.classify_images import PARALLEL_IMAGES
from pipeline.table_items import INDEX_PARTITIONS

SERVERLESS = str(ENDPOINT_MEGABYTES)
INSTANCE = "ml.m5.xlarge"
INSTANCE_VCPUS = 4
VCPU_MEGABYTES = 2048  # assumed, of a serverless endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Images, and how many are dropped a second; as many as one prefix takes if not said."""

    images: int
    images_per_second: float | None = None

    def arriving_per_second(self, figures: Figures) -> float:
        return self.images_per_second or figures.prefix_puts_per_second

    def prefixes(self, figures: Figures) -> int:
        """Returns the number of folders below incoming/ that S3 needs for this."""
        return ceil(self.arriving_per_second(figures) / figures.prefix_puts_per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The template's parameters, by their names there."""

    classify_concurrency: int = 5
    endpoint_capacity: str = SERVERLESS
    max_instances: int = ENDPOINT_INSTANCES

    @property
    def is_serverless(self) -> bool:
        return not self.endpoint_capacity.startswith("ml.")


@dataclass(frozen=True, slots=True)
class Limit:
    """The rate of a resource, and what to do for more."""

    resource: str
    images_per_second: float
    remedy: str


def function_milliseconds(stack: Stack, figures: Figures) -> float:
    """Returns an image's share of its function's time, without the endpoint's."""
    computing = figures.read_cpu_milliseconds + figures.prepare_cpu_milliseconds
    if stack.is_serverless:
        computing += figures.webp_encode_cpu_milliseconds
    read = max(computing, figures.read_milliseconds / PARALLEL_IMAGES)
    written = figures.put_item_milliseconds / PARALLEL_IMAGES
    return read + max(figures.put_item_cpu_milliseconds, written)


def answer_milliseconds(stack: Stack, figures: Figures) -> float:
    """Returns an image's share of its answer, on the serverless endpoint or one instance."""
    cpu = 1000 / figures.served_images_per_second_per_vcpu
    if stack.is_serverless:
        vcpus = int(stack.endpoint_capacity) / VCPU_MEGABYTES
        return (cpu + figures.webp_decode_cpu_milliseconds) / vcpus
    return cpu / INSTANCE_VCPUS


def batch_seconds(stack: Stack, figures: Figures) -> float:
    """Returns the time of a full batch that waits for no other."""
    each = function_milliseconds(stack, figures) + answer_milliseconds(stack, figures)
    return (figures.call_milliseconds + BATCH_IMAGES * each) / 1000


def rows_per_second(now: float, figures: Figures) -> float:
    """Returns how many rows a second a new table accepts after so many seconds of work.

    Its own keys spread over as many partitions as it needs; an index's keys are `INDEX_PARTITIONS`,
    and its sort key only grows, so that splitting a partition does not help.
    """
    doublings = min(int(now / figures.table_doubles_after_seconds), 10)
    table = figures.new_table_writes_per_second * 2.0**doublings
    return min(table, figures.partition_writes_per_second * INDEX_PARTITIONS)


def limits(load: Load, stack: Stack, figures: Figures) -> list[Limit]:
    """Returns what limits a drop, the lowest first."""
    functions = stack.classify_concurrency * BATCH_IMAGES / batch_seconds(stack, figures)
    found = [
        Limit("batches at once", functions, "Raise ClassifyConcurrency (200 at most)."),
        Limit(
            "writes to an index",
            figures.partition_writes_per_second * INDEX_PARTITIONS,
            "Raise INDEX_PARTITIONS in functions/pipeline/table_items.py: "
            "one key of an index takes 1,000 writes a second.",
        ),
        Limit(
            "writes to a new table",
            figures.new_table_writes_per_second,
            "Warm the table up (WarmThroughput), or let the load grow: it doubles in half an hour.",
        ),
        Limit(
            "reads of the bucket",
            load.prefixes(figures) * figures.prefix_gets_per_second,
            "Drop into more folders below incoming/: each takes 5,500 reads a second.",
        ),
    ]
    if not stack.is_serverless:
        one = 1000 / answer_milliseconds(stack, figures)
        found.append(
            Limit(
                "endpoint instances",
                stack.max_instances * one,
                "Raise MaxInstances in template.yaml (Mappings, Limits), and the quota "
                f"“{stack.endpoint_capacity} for endpoint usage” (L-2F737F8D).",
            )
        )
    return sorted(found, key=lambda each: each.images_per_second)
