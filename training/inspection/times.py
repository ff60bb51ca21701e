"""The times in a profile: quantiles and a histogram of the steps, and a trace to open.

The trace has the Trace Event Format of Chrome, which chrome://tracing and https://ui.perfetto.dev
open: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.inspection.profile_rules import percentile
from training.watch.profile import Profile, StepTime

TRACE_NAME = "trace.json"
BINS = 20


@dataclass(frozen=True, slots=True)
class StepTimes:
    """The seconds of a phase's steps, without those that torch.profiler made slower."""

    phase: str
    steps: int
    p50: float
    p95: float
    p99: float
    longest: float
    edges: tuple[float, ...]
    """Of the histogram, BINS + 1 seconds; the last bin holds everything above it too."""
    counts: tuple[int, ...]


def step_times(profile: Profile) -> tuple[StepTimes, ...]:
    """Quantiles (nearest rank) and a histogram of each phase's steps."""
    found = []
    for phase in dict.fromkeys(step.phase for step in profile.steps):
        of_phase = [step for step in profile.steps if step.phase == phase]
        seconds = [step.seconds for step in of_phase if not step.profiled]
        seconds = seconds or [step.seconds for step in of_phase]
        edges, counts = _histogram(seconds)
        p50, p95, p99 = (percentile(seconds, each) for each in (50, 95, 99))
        found.append(StepTimes(phase, len(seconds), p50, p95, p99, max(seconds), edges, counts))
    return tuple(found)


def time_json(profile: Profile | None) -> dict[str, Any]:
    """The members of `inspection.json` about time; empty ones without a profile."""
    if profile is None:
        return {"stages": None, "preparation": None, "time": [], "steps": [], "usage": []}
    return {
        "stages": asdict(profile.stages) if profile.stages else None,
        "preparation": asdict(profile.preparation) if profile.preparation else None,
        "time": [asdict(each) for each in profile.splits],
        "steps": [asdict(each) for each in step_times(profile)],
        "usage": [asdict(each) for each in profile.samples],
    }


def write_trace(profile: Profile, folder: Path) -> Path:
    """Writes `trace.json`; returns its path."""
    file = folder / TRACE_NAME
    content = {"traceEvents": list(trace_events(profile)), "displayTimeUnit": "ms"}
    file.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    return file


def trace_events(profile: Profile) -> Iterator[dict[str, Any]]:
    """The preparation, every step with its parts, and the usage of the machine, in microseconds."""
    for thread, name in enumerate(("stages", "steps", "parts of steps")):
        yield {"ph": "M", "name": "thread_name", "pid": 1, "tid": thread, "args": {"name": name}}
    yield from _stages(profile)
    for step in profile.steps:
        yield from _step(step)
    for sample in profile.samples:
        used = {"CPU": sample.cpu, "GPU": sample.gpu, "GPU memory": sample.gpu_memory}
        for name, value in used.items():
            if value is not None:
                args = {"%": round(value, 1)}
                yield {"ph": "C", "name": name, "pid": 1, "ts": 1e6 * sample.seconds, "args": args}


def _stages(profile: Profile) -> Iterator[dict[str, Any]]:
    if profile.stages is None:
        return
    began = 0.0
    for name, seconds in profile.stages.parts():
        yield _slice(name, 0, began, seconds)
        began += seconds
    if profile.preparation is not None:
        began = 0.0
        # One after the other, although waiting and computing took turns.
        for name, seconds in profile.preparation.parts():
            yield _slice(name, 2, began, seconds)
            began += seconds


def _step(step: StepTime) -> Iterator[dict[str, Any]]:
    began = step.ended - step.seconds
    yield _slice(f"step {step.step}, {step.phase}", 1, began, step.seconds)
    parts = {
        "data": step.data,
        "forward": step.forward,
        "backward": step.backward,
        "optimizer": step.optimizer,
    }
    for name, seconds in parts.items():
        yield _slice(name, 2, began, seconds)
        began += seconds


def _slice(name: str, thread: int, began: float, seconds: float) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": name,
        "pid": 1,
        "tid": thread,
        "ts": 1e6 * max(0.0, began),
        "dur": 1e6 * seconds,
    }


def _histogram(seconds: Sequence[float]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Bins of equal width up to the 99th percentile; slower steps count in the last."""
    low, high = min(seconds), max(percentile(seconds, 99), min(seconds) * 1.001, 1e-9)
    counts, edges = np.histogram(np.minimum(seconds, high), BINS, (low, high))
    return tuple(edges.tolist()), tuple(counts.tolist())
