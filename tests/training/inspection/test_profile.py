"""The rules about time on made profiles, and the profiler on one real training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest

from training.errors import TrainingError
from training.inspection.findings import Finding, Status
from training.inspection.profile_rules import (
    BatchSize,
    CPUBottleneck,
    Dataloader,
    IOBottleneck,
    OverallSystemUsage,
    StepOutlier,
    percentile,
)
from training.inspection.rules import judge_profile
from training.prepared import Prepared
from training.settings import TrainSettings
from training.train import fit
from training.watch.observer import Phase, StepSeconds, TrainingObserver
from training.watch.profile import Machine, Profile, StepTime, SystemSample, TimeSplit, read_profile
from training.watch.profiler import Profiler

Rule = Callable[[Profile], Finding]
MACHINE = Machine(cores=2, memory_bytes=25 * 10**9, peak_memory_bytes=10**9, gpu=None)
GPU = replace(MACHINE, gpu="Made up")
BUSY = SystemSample(1.0, cpu=95.0, io_wait=1.0, gpu=None, gpu_memory=None)


def steps(seconds: Sequence[float], data: float = 0.0) -> tuple[StepTime, ...]:
    return tuple(
        StepTime("head", number, data, each, profiled=False) for number, each in enumerate(seconds)
    )


def made(
    samples: Sequence[SystemSample] = (BUSY,) * 30,
    machine: Machine = MACHINE,
    data: float = 1.0,
    timed: tuple[StepTime, ...] = steps([0.1] * 400),
) -> Profile:
    """A training with nothing to find, but for what is given."""
    split = TimeSplit("head", data, 10.0, 20.0, 2.0, 5.0, 1.0)
    return Profile(machine, 32, 0, (split,), timed, (), tuple(samples))


def gpu_sample(cpu: float, gpu: float, io_wait: float = 0.0, memory: float = 90.0) -> SystemSample:
    return SystemSample(1.0, cpu, io_wait, gpu, memory)


@pytest.mark.parametrize(
    ("rule", "profile", "status"),
    [
        (StepOutlier(), made(), Status.NO_ISSUES_FOUND),
        # 11 of 400 steps a hundred times as long; 10 are ignored.
        (
            StepOutlier(),
            made(timed=steps(([0.1] * 35 + [10.0]) * 11 + [0.1] * 4)),
            Status.ISSUES_FOUND,
        ),
        (StepOutlier(), made(timed=steps([10.0] * 5 + [0.1] * 395)), Status.NO_ISSUES_FOUND),
        (StepOutlier(), made(timed=steps([0.1] * 14)), Status.NOT_EVALUATED),
        (Dataloader(), made(data=7.9), Status.NO_ISSUES_FOUND),
        (Dataloader(), made(data=8.1), Status.ISSUES_FOUND),
        (CPUBottleneck(), made(), Status.NOT_EVALUATED),
        (CPUBottleneck(), made([gpu_sample(95, 5)] * 30, GPU), Status.ISSUES_FOUND),
        (CPUBottleneck(), made([gpu_sample(95, 50)] * 30, GPU), Status.NO_ISSUES_FOUND),
        (CPUBottleneck(), made([gpu_sample(50, 5)] * 30, GPU), Status.NO_ISSUES_FOUND),
        (CPUBottleneck(), made([BUSY] * 30, GPU), Status.NOT_EVALUATED),  # no nvidia-ml-py
        (IOBottleneck(), made(), Status.NO_ISSUES_FOUND),
        (IOBottleneck(), made([replace(BUSY, cpu=30, io_wait=60.0)] * 30), Status.ISSUES_FOUND),
        (IOBottleneck(), made([gpu_sample(95, 5, io_wait=60)] * 30, GPU), Status.ISSUES_FOUND),
        (IOBottleneck(), made([gpu_sample(30, 80, io_wait=60)] * 30, GPU), Status.NO_ISSUES_FOUND),
        (IOBottleneck(), made([replace(BUSY, io_wait=None)] * 30), Status.NOT_EVALUATED),
        (BatchSize(), made(), Status.NO_ISSUES_FOUND),
        (BatchSize(), made([replace(BUSY, cpu=60.0)] * 30), Status.ISSUES_FOUND),
        (BatchSize(), made([gpu_sample(20, 20, memory=90)] * 30, GPU), Status.NO_ISSUES_FOUND),
        (BatchSize(), made([gpu_sample(20, 20, memory=20)] * 30, GPU), Status.ISSUES_FOUND),
        (BatchSize(), made([BUSY] * 14), Status.NOT_EVALUATED),
        (OverallSystemUsage(), made(), Status.NO_ISSUES_FOUND),
        (OverallSystemUsage(), made([]), Status.NOT_EVALUATED),
    ],
)
def test_rule_finds_what_is_there_and_nothing_else(
    rule: Rule, profile: Profile, status: Status
) -> None:
    finding = rule(profile)

    assert finding.status is status, finding.answer
    assert bool(finding.advice) == (status is Status.ISSUES_FOUND)


def test_steps_that_the_profiler_slowed_down_are_no_outliers() -> None:
    timed = list(steps(([0.1] * 35 + [10.0]) * 11))
    profiled = tuple(replace(step, profiled=step.compute > 1) for step in timed)

    assert StepOutlier()(made(timed=profiled)).status is Status.NO_ISSUES_FOUND


def test_outliers_that_waited_for_photos_are_advised_of_the_disk() -> None:
    slow = tuple(
        replace(step, data=10.0) if step.step % 36 == 35 else step for step in steps([0.1] * 400)
    )

    assert "disk" in StepOutlier()(made(timed=slow)).advice
    assert "disk" not in StepOutlier()(made(timed=steps(([0.1] * 35 + [10.0]) * 11))).advice


def test_parameters_have_sagemakers_names_and_defaults() -> None:
    """From AWS's "List of Debugger Built-in Profiler Rules"; `max_waiting` is ours."""
    parameters = {finding.rule: dict(finding.parameters) for finding in judge_profile(made())}

    assert parameters == {
        "StepOutlier": {"stddev": 5.0, "n_outliers": 10},
        "Dataloader": {"max_waiting": 20.0},
        "CPUBottleneck": {"threshold": 50.0, "gpu_threshold": 10.0, "cpu_threshold": 90.0},
        "IOBottleneck": {"threshold": 50.0, "gpu_threshold": 70.0, "io_threshold": 50.0},
        "BatchSize": {
            "cpu_threshold_p95": 70.0,
            "gpu_threshold_p95": 70.0,
            "gpu_memory_threshold_p95": 70.0,
        },
        "OverallSystemUsage": {},
    }


def test_percentile_is_the_nearest_rank() -> None:
    assert [percentile(range(1, 101), each) for each in (50, 95, 100)] == [50, 95, 100]
    assert percentile([3.0], 95) == 3.0


class Slow(TrainingObserver):
    """Takes its time where a test wants it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def on_step(self, phase: Phase, step: int, loss: float, seconds: StepSeconds) -> None:
        sleep(self._seconds)


def test_time_of_a_real_training_is_accounted_for(
    prepared: Prepared, configure: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    settings = configure(epochs=4, unfreeze="layer4", finetune_epochs=1, batch_size=4)
    fit(prepared, settings, [Slow(0.01), Profiler(tmp_path / "profile.json")])

    profile = read_profile(tmp_path / "profile.json")

    head, finetune = profile.splits
    assert (head.phase, finetune.phase) == ("head", "finetune")
    assert len(profile.steps) == 6 * 5
    for split in profile.splits:
        assert all(seconds > 0 for _, seconds in split.parts())
    # 24 steps of an observer that sleeps 10 ms count as "other".
    assert head.other >= 0.24
    assert finetune.forward + finetune.backward > head.forward + head.backward
    by_phase = {split.phase: [] for split in profile.splits}
    for step in profile.steps:
        by_phase[step.phase].append(step.seconds)
    assert sum(by_phase["finetune"]) == pytest.approx(
        finetune.data + finetune.forward + finetune.backward + finetune.optimizer
    )


def test_operators_of_a_real_training_are_named(
    prepared: Prepared, configure: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    settings = configure(epochs=2, unfreeze="layer4", finetune_epochs=1, batch_size=4)
    fit(prepared, settings, [Profiler(tmp_path / "profile.json")])

    profile = read_profile(tmp_path / "profile.json")

    finetune = [each.name for each in profile.operators if each.phase == "finetune"]
    head = [each.name for each in profile.operators if each.phase == "head"]
    assert any("convolution" in name for name in finetune)
    assert any("convolution_backward" in name for name in finetune)
    assert head
    assert not any("convolution" in name for name in head)
    assert all(each.calls > 0 and each.cpu_seconds >= 0 for each in profile.operators)


def test_training_shorter_than_the_schedule_has_times_but_no_operators(
    prepared: Prepared, configure: Callable[..., TrainSettings], tmp_path: Path
) -> None:
    fit(prepared, configure(epochs=1, batch_size=32), [Profiler(tmp_path / "profile.json")])

    profile = read_profile(tmp_path / "profile.json")

    assert len(profile.steps) == 1
    assert profile.operators == ()
    assert {finding.rule for finding in judge_profile(profile)} >= {"StepOutlier", "Dataloader"}


@pytest.mark.parametrize("content", [None, "not json", "{}", '{"machine": {}}'])
def test_what_is_no_file_of_the_profilers_is_told(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "profile.json").write_text(content)

    with pytest.raises(TrainingError, match="imagedrop inspect"):
        read_profile(tmp_path / "profile.json")
