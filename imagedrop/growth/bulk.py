"""A discrete-event simulation of a bulk run: chunks through a Distributed Map, a transform job.

Waves are prepared, transformed and recorded in turns, as in bulk.asl.json. Sizes, the times of a
chunk and the dollars are those of `estimates.bulk_run`; this adds what waits: chunks for a free
function and for state transitions, reads for S3, rows for the table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from bulk.turns import parts_of
from imagedrop.estimates.bulk_run import TRANSITIONS_A_CHUNK, RunSettings, Sizing, wave_sizes
from imagedrop.growth.figures import Figures
from imagedrop.growth.limits import rows_per_second
from imagedrop.growth.machine import Machine, SharedCores
from imagedrop.growth.rates import Rate

Steps = Generator[simpy.Event, Any, None]


@dataclass(slots=True)
class BulkOutcome:
    """A run: the seconds of each phase in all its waves, which overlap, and the rows written."""

    sizing: Sizing
    took: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    seconds: float = 0.0
    rows: int = 0

    @property
    def slowest_phase(self) -> str:
        return max(self.took, key=lambda phase: self.took[phase])

    def images_per_second(self, phase: str) -> float:
        """Returns a phase's rate while it runs; other phases may run meanwhile."""
        return self.sizing.images / self.took[phase]


def simulate_bulk(
    sizing: Sizing,
    settings: RunSettings,
    concurrency: int,
    figures: Figures,
    machine: Machine | None = None,
) -> BulkOutcome:
    """Returns the outcome of a run in which every image is new and readable.

    Args:
        sizing: the run's times and sizes where nothing waits: `size_run`.
        concurrency: chunks at once, the template's ClassifyConcurrency.
        machine: on whose cores everything works; without one each function has its own.
    """
    env = simpy.Environment()
    outcome = BulkOutcome(sizing)
    cores = SharedCores(env, machine) if machine else None
    run = _Run(env, outcome, settings, concurrency, figures, cores)
    env.run(until=env.process(run.steps()))
    outcome.seconds = env.now
    return outcome


@dataclass(slots=True)
class _Run:
    """The workflow of one run: list, turns, reconcile, delete."""

    env: simpy.Environment
    outcome: BulkOutcome
    settings: RunSettings
    concurrency: int
    figures: Figures
    cores: SharedCores | None
    reads: Rate = field(init=False)
    table: Rate = field(init=False)

    def __post_init__(self) -> None:
        self.reads = Rate(lambda _: self.figures.prefix_gets_per_second)
        self.table = Rate(lambda now: rows_per_second(now, self.figures))

    def steps(self) -> Steps:
        yield from self._alone("list")
        waves = [0, 0, *wave_sizes(self.outcome.sizing.images, self.settings), 0, 0]
        for recorded, transformed, prepared in zip(waves, waves[1:], waves[2:], strict=False):
            functions = parts_of(self.concurrency, bool(prepared), bool(recorded))
            parts = (
                self._prepare(prepared, functions[0]),
                self._transform(transformed),
                self._record(recorded, functions[1]),
            )
            yield self.env.all_of([self.env.process(part) for part in parts])
        yield from self._alone("reconcile")
        yield from self._alone("delete")

    def _alone(self, phase: str, share: float = 1.0) -> Steps:
        """The work of one function for all chunks: nothing waits for it."""
        yield from self._during(phase, share * self.outcome.sizing.phase_seconds.get(phase, 0.0))

    def _during(self, phase: str, seconds: float) -> Steps:
        began = self.env.now
        yield self._spend(phase, seconds)
        self.outcome.took[phase] += self.env.now - began

    def _spend(self, phase: str, seconds: float, wait_seconds: float = 0.0) -> simpy.Event:
        """Waits, and then for something that takes so many seconds where nothing else works."""
        if self.cores:
            return self.env.process(self._work(self.cores, phase, seconds, wait_seconds))
        return self.env.timeout(wait_seconds + seconds)

    def _work(self, cores: SharedCores, phase: str, seconds: float, wait_seconds: float) -> Steps:
        yield self.env.timeout(wait_seconds)
        yield cores.work(phase, seconds)

    def _transform(self, images: int) -> Steps:
        """Each wave has a job, and each job starts its machines, however few its images are."""
        sizing = self.outcome.sizing
        if images:
            yield from self._alone("plan", images / sizing.images)
            seconds = sizing.job_start_seconds + images * sizing.job_image_seconds
            yield from self._during("transform", seconds)

    def _prepare(self, images: int, functions: int) -> Steps:
        def wait_seconds(count: int) -> float:
            return 0.0 if self.settings.direct else self.reads.wait_seconds(self.env.now, count)

        each = self.outcome.sizing.prepare_chunk_seconds
        yield from self._chunks("prepare", images, functions, each, wait_seconds)

    def _record(self, images: int, functions: int) -> Steps:
        def wait_seconds(count: int) -> float:
            return self.table.wait_seconds(self.env.now, count)

        each = self.outcome.sizing.record_chunk_seconds
        done = yield from self._chunks("record", images, functions, each, wait_seconds)
        self.outcome.rows += done

    def _chunks(
        self,
        phase: str,
        images: int,
        functions: int,
        chunk_seconds: float,
        wait_seconds: Callable[[int], float],
    ) -> Generator[simpy.Event, Any, int]:
        """A Distributed Map over a wave's chunks; returns their images."""
        began = self.env.now
        counts = _chunks(images, self.settings.chunk_images)
        each = chunk_seconds / min(self.settings.chunk_images, self.outcome.sizing.images)
        transitions = Rate(lambda _: self.figures.transitions_per_second)

        def function() -> Generator[simpy.Event, Any, int]:
            """One place of the Map: it takes the next chunk while there is one."""
            done_images = 0
            while counts:
                count = counts.pop()
                starting = transitions.wait_seconds(self.env.now, TRANSITIONS_A_CHUNK)
                yield self._spend(phase, count * each, max(starting, wait_seconds(count)))
                done_images += count
            return done_images

        ended = yield self.env.all_of([self.env.process(function()) for _ in range(functions)])
        self.outcome.took[phase] += self.env.now - began
        return sum(ended.values())


def _chunks(images: int, chunk_images: int) -> list[int]:
    full, rest = divmod(images, chunk_images)
    return [chunk_images] * full + ([rest] if rest else [])
