"""An observer that measures where a training's time goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.profiler import ProfilerActivity, profile, schedule
from torch.utils.hooks import RemovableHandle

from training.networks.network import TransferNetwork
from training.settings import TrainSettings
from training.watch.observer import EpochMetrics, Phase, StepSeconds, TrainingObserver
from training.watch.profile import (
    Operator,
    Preparation,
    Profile,
    Stages,
    StepTime,
    SystemSample,
    TimeSplit,
)
from training.watch.usage import machine, sample_usage

# torch.profiler's schedule, in steps of each phase: the first step is not typical, during the next
# the profiler starts.
WAIT, WARMUP, ACTIVE = 1, 1, 3
OPERATORS = 15
# SageMaker's profiler samples the system every 500 ms, but a head is trained within seconds.
SAMPLE_SECONDS = 0.1


class _PhaseClock:
    """The time of the current phase, by what it was spent on."""

    def __init__(self, phase: Phase | None = None) -> None:
        self.phase = phase
        self.began = self.ended = perf_counter()
        self.data = self.forward = self.backward = self.optimizer = self.evaluation = 0.0
        self.steps = 0

    def add(self, seconds: StepSeconds) -> None:
        self.data += seconds.data
        self.forward += seconds.forward
        self.backward += seconds.backward
        self.optimizer += seconds.optimizer

    def split(self) -> TimeSplit | None:
        """The time so far; None before the first step, which names the phase."""
        if self.phase is None:
            return None
        known = self.data + self.forward + self.backward + self.optimizer + self.evaluation
        return TimeSplit(
            self.phase,
            self.data,
            self.forward,
            self.backward,
            self.optimizer,
            self.evaluation,
            max(0.0, self.ended - self.began - known),
        )


class Profiler(TrainingObserver):
    """Times every step, runs torch.profiler over some, samples the machine; writes `Profile`."""

    def __init__(self, file: Path, preparation: Preparation | None = None) -> None:
        self._file = file
        self._preparation = preparation
        self._began = perf_counter() - (preparation.total if preparation else 0.0)
        self._first_step = self._loop_ended = self._began
        self._step_ends: list[float] = []
        self._written: Profile | None = None
        self._batch_size = 0
        self._splits: list[TimeSplit] = []
        self._steps: list[StepTime] = []
        self._operators: list[Operator] = []
        self._samples: list[SystemSample] = []
        self._clock = _PhaseClock()
        self._profile: profile | None = None
        self._hooks: list[RemovableHandle] = []
        self._has_begun = False
        self._sampled = self._last_step = self._evaluated = perf_counter()

    def on_begin(
        self, network: TransferNetwork, optimizer: optim.Optimizer, settings: TrainSettings
    ) -> None:
        """Starts the clock of a phase."""
        self._end_phase()
        if not self._has_begun:
            self._has_begun = True
            sample_usage(self._began)  # starts the clock of usage
            self._first_step = self._loop_ended = perf_counter()
        self._batch_size = settings.batch_size
        self._clock = _PhaseClock()
        # In one phase the head runs alone, in the other the network runs it.
        self._hooks = [
            module.register_forward_hook(self._after_forward) for module in (network, network.head)
        ]
        # Keeps the profiler's library from logging its start, its end and a missing GPU to stderr.
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")
        self._profile = profile(
            activities=_activities(),
            schedule=schedule(wait=WAIT, warmup=WARMUP, active=ACTIVE, repeat=1),
        )
        self._profile.start()

    def on_step(self, phase: Phase, step: int, loss: Tensor) -> None:
        """Notes when the step ended; samples the machine where it is due."""
        clock = self._clock
        clock.phase = phase
        clock.steps += 1
        if self._profile is not None:
            self._profile.step()
            if clock.steps == WAIT + WARMUP + ACTIVE:
                self._stop_profile(phase)
        if perf_counter() - self._sampled >= SAMPLE_SECONDS:
            self._samples.append(sample_usage(self._began))
            self._sampled = perf_counter()
        self._last_step = self._evaluated = perf_counter()
        self._step_ends.append(self._last_step - self._began)

    def on_steps_timed(self, phase: Phase, first: int, seconds: Sequence[StepSeconds]) -> None:
        """Adds the steps of an epoch."""
        clock = self._clock
        earlier = clock.steps - len(seconds)
        for number, (each, ended) in enumerate(zip(seconds, self._step_ends, strict=True)):
            compute = each.forward + each.backward + each.optimizer
            profiled = WAIT <= earlier + number < WAIT + WARMUP + ACTIVE
            self._steps.append(
                StepTime(
                    phase=phase,
                    step=first + number,
                    data=each.data,
                    compute=compute,
                    profiled=profiled,
                    ended=ended,
                    forward=each.forward,
                    backward=each.backward,
                    optimizer=each.optimizer,
                )
            )
            clock.add(each)
        self._step_ends.clear()

    def on_epoch(self, metrics: EpochMetrics) -> None:
        """Counts the time between the last step and the last forward pass as evaluation."""
        self._clock.evaluation += self._evaluated - self._last_step
        self._clock.ended = self._loop_ended = perf_counter()

    def on_end(self) -> None:
        """Writes the file."""
        self._end_phase()
        self._written = Profile(
            machine=machine(),
            batch_size=self._batch_size,
            # As in training/data/batches.py.
            loader_workers=(os.cpu_count() or 1) if torch.cuda.is_available() else 0,
            splits=tuple(self._splits),
            steps=tuple(self._steps),
            operators=tuple(self._operators),
            samples=tuple(self._samples),
            preparation=self._preparation,
            stages=self._stages(self._loop_ended),
        )
        self._written.write(self._file)

    def on_finish(self) -> None:
        """Writes the file again, with the time since the last epoch."""
        if self._written is not None:
            replace(self._written, stages=self._stages(perf_counter())).write(self._file)

    def _stages(self, finished: float) -> Stages:
        return Stages(
            self._first_step - self._began,
            self._loop_ended - self._first_step,
            finished - self._loop_ended,
        )

    def _after_forward(self, module: nn.Module, _inputs: tuple[Any, ...], _output: Any) -> None:
        if not module.training:
            self._evaluated = perf_counter()

    def _end_phase(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        split = self._clock.split()
        if split is not None:
            self._stop_profile(split.phase)
            self._splits.append(split)
        elif self._profile is not None:
            self._profile.stop()
            self._profile = None
        self._clock = _PhaseClock()

    def _stop_profile(self, phase: Phase) -> None:
        """Ends the recording and keeps its operators, if the phase was long enough to have any."""
        if self._profile is None:
            return
        self._profile.stop()
        if self._clock.steps > WAIT + WARMUP:
            self._operators += operators(self._profile, phase)
        self._profile = None


def operators(recorded: profile, phase: Phase) -> list[Operator]:
    """The OPERATORS with the most self time, on the GPU where there is one."""
    found = [
        Operator(
            phase,
            event.key,
            event.count,
            event.self_cpu_time_total / 1e6,
            event.self_device_time_total / 1e6,
        )
        for event in recorded.key_averages()
        if not event.key.startswith("ProfilerStep")
    ]
    found.sort(key=lambda each: (each.gpu_seconds, each.cpu_seconds), reverse=True)
    return found[:OPERATORS]


def _activities() -> list[ProfilerActivity]:
    gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    return [ProfilerActivity.CPU, *gpu]
