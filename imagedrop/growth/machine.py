"""One machine on whose cores everything works at once, as the local cloud does; AWS's do not.

A function on AWS has its own cores. On one machine the functions, the endpoint, the emulator and
the uploading program share them: while together they need no more cores than there are, each is as
fast as alone; beyond that all slow down equally (processor sharing).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import simpy

DONE_SECONDS = 1e-9  # of work left: rounding


@dataclass(frozen=True, slots=True)
class Machine:
    """The cores that other work leaves, and how many of them each activity uses on average.

    Attributes:
        uses: cores by activity: ``upload`` and ``batch`` of a drop; the phases of a bulk run, of
            which prepare and record count for one chunk. An activity without an entry only waits.
    """

    cores: float
    uses: Mapping[str, float]


class SharedCores:
    """The activities of a machine, each with the seconds that it would take alone."""

    def __init__(self, env: simpy.Environment, machine: Machine) -> None:
        self._env, self._machine = env, machine
        self._left: dict[simpy.Event, float] = {}
        self._used: dict[simpy.Event, float] = {}
        self._since = 0.0
        self._changes = 0

    def work(self, activity: str, seconds: float) -> simpy.Event:
        """Returns the event that work is done which takes so many seconds where nothing else is."""
        done = self._env.event()
        self._advance()
        self._left[done] = seconds
        self._used[done] = self._machine.uses.get(activity, 0.0)
        self._plan()
        return done

    def _speeds(self) -> dict[simpy.Event, float]:
        used = sum(self._used.values())
        speed = min(1.0, self._machine.cores / used) if used else 1.0
        return {event: speed if cores else 1.0 for event, cores in self._used.items()}

    def _advance(self) -> None:
        passed, self._since = self._env.now - self._since, self._env.now
        for event, speed in self._speeds().items():
            self._left[event] -= passed * speed

    def _plan(self) -> None:
        """Waits for the next that ends; every change of the activities makes a new plan."""
        self._changes += 1
        speeds = self._speeds()
        if speeds:
            seconds = min(self._left[event] / speed for event, speed in speeds.items())
            self._env.process(self._end(self._changes, max(0.0, seconds)))

    def _end(self, plan: int, seconds: float) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(seconds)
        if plan != self._changes:
            return
        self._advance()
        for event in [event for event, left in self._left.items() if left <= DONE_SECONDS]:
            del self._left[event], self._used[event]
            event.succeed()
        self._plan()
