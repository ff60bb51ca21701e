"""A discrete-event simulation of a bulk run: chunks through a Distributed Map, a transform job.

The phases follow each other, as in bulk.asl.json. Sizes, the times of a chunk and the dollars are
those of `estimates.bulk_run`; this adds what waits: chunks for a free function and for state
transitions, reads for S3, rows for the table.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import simpy

from imagedrop.estimates.bulk_run import TRANSITIONS_A_CHUNK, RunSettings, Sizing
from imagedrop.growth.figures import Figures
from imagedrop.growth.limits import rows_per_second
from imagedrop.growth.rates import Rate

Steps = Generator[simpy.Event, Any, None]
# What one function does for all chunks, or a job for all shards: a time without a queue.
ALONE = frozenset({"list", "plan", "transform", "reconcile", "delete"})


@dataclass(slots=True)
class BulkOutcome:
    """A run: when each phase ended, in seconds since its start, and the rows that were written."""

    sizing: Sizing
    ends: dict[str, float]
    rows: int = 0

    @property
    def seconds(self) -> float:
        return max(self.ends.values())

    @property
    def slowest_phase(self) -> str:
        begins = [0.0, *self.ends.values()]
        took = {name: end - begins[place] for place, (name, end) in enumerate(self.ends.items())}
        return max(took, key=lambda name: took[name])


def simulate_bulk(
    sizing: Sizing, settings: RunSettings, concurrency: int, figures: Figures
) -> BulkOutcome:
    """Returns what becomes of a run in which every image is new and readable.

    Args:
        sizing: the run's times and sizes where nothing waits: `size_run`.
        concurrency: chunks at once, the template's ClassifyConcurrency.
    """
    env = simpy.Environment()
    outcome = BulkOutcome(sizing, {})
    env.run(until=env.process(_phases(env, outcome, settings, concurrency, figures)))
    return outcome


def _phases(
    env: simpy.Environment,
    outcome: BulkOutcome,
    settings: RunSettings,
    concurrency: int,
    figures: Figures,
) -> Steps:
    sizing = outcome.sizing
    reads = Rate(lambda _: figures.prefix_gets_per_second)
    table = Rate(lambda now: rows_per_second(now, figures))
    waits = {
        "prepare": lambda images: 0.0 if settings.direct else reads.wait_seconds(env.now, images),
        "record": lambda images: table.wait_seconds(env.now, images),
    }
    each_seconds = {"prepare": sizing.prepare_chunk_seconds, "record": sizing.record_chunk_seconds}
    for name, seconds in sizing.phase_seconds.items():
        if name in ALONE:
            yield env.timeout(seconds)
        else:
            counts = _chunks(sizing.images, settings.chunk_images)
            each = each_seconds[name] / min(settings.chunk_images, sizing.images)
            transitions = Rate(lambda _: figures.transitions_per_second)
            functions = [
                env.process(_function(env, counts, each, transitions, waits[name]))
                for _ in range(concurrency)
            ]
            ended = yield env.all_of(functions)
            outcome.rows = sum(ended.values())  # Record's, which is the last of them
        outcome.ends[name] = env.now


def _chunks(images: int, chunk_images: int) -> list[int]:
    full, rest = divmod(images, chunk_images)
    return [chunk_images] * full + ([rest] if rest else [])


def _function(
    env: simpy.Environment,
    counts: list[int],
    image_seconds: float,
    transitions: Rate,
    wait_seconds: Callable[[int], float],
) -> Generator[simpy.Event, Any, int]:
    """One place of the Map: it takes the next chunk while there is one; returns its images."""
    done_images = 0
    while counts:
        images = counts.pop()
        starting = transitions.wait_seconds(env.now, TRANSITIONS_A_CHUNK)
        yield env.timeout(max(starting, wait_seconds(images)) + images * image_seconds)
        done_images += images
    return done_images
