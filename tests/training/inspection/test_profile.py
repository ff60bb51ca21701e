"""The rules about time on made profiles, and the profiler on one real training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest
from torch import Tensor

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
from training.inspection.progress_rules import (
    GPUMemoryIncrease,
    LowGPUUtilization,
    MaxInitializationTime,
    StalledTrainingRule,
)
from training.inspection.rules import judge_profile
from training.inspection.times import step_times
from training.loop.prepared import Prepared
from training.settings import TrainSettings
from training.train import fit
from training.watch.observer import Phase, TrainingObserver
from training.watch.profile import (
    Machine,
    Preparation,
    Profile,
    Stages,
    StepTime,
    SystemSample,
    TimeSplit,
    read_profile,
)
from training.watch.profiler import Profiler

Rule = Callable[[Profile], Finding]
MACHINE = Machine(cores=2, memory_bytes=25 * 10**9, peak_memory_bytes=10**9, gpu=None)
GPU = replace(MACHINE, gpu="Made up")
BUSY = SystemSample(1.0, cpu=95.0, io_wait=1.0, gpu=None, gpu_memory=None)


def steps(seconds: Sequence[float], data: float = 0.0) -> tuple[StepTime, ...]:
    return tuple(
        StepTime("finetune", number, data, each, profiled=False)
        for number, each in enumerate(seconds)
    )


def made(
    samples: Sequence[SystemSample] = (BUSY,) * 30,
    machine: Machine = MACHINE,
    data: float = 1.0,
    timed: tuple[StepTime, ...] = steps([0.1] * 400),
) -> Profile:
    """A training with nothing to find, but for what is given."""
    split = TimeSplit("finetune", data, 10.0, 20.0, 2.0, 5.0, 1.0)
    return Profile(machine, 32, 0, (split,), timed, (), tuple(samples))


def prepared_in(photos: float) -> Profile:
    """A training whose features took 12 s and the waiting for photos."""
    preparation = Preparation(1.0, 1.0, photos, 10.0, 1.0, 0.0, 0.0, computed=100)
    stages = Stages(preparation.total, 60.0, 2.0)
    return replace(made(), preparation=preparation, stages=stages)


def cached() -> Profile:
    """A training of the head on features that were there."""
    profile = made(data=30.0)
    preparation = Preparation(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, computed=0)
    splits = tuple(replace(each, phase="head") for each in profile.splits)
    return replace(profile, splits=splits, preparation=preparation)


def ending(ends: Sequence[float]) -> tuple[StepTime, ...]:
    return tuple(
        StepTime("head", number, 0.1, 0.1, profiled=False, ended=end)
        for number, end in enumerate(ends)
    )


def growing(by: float) -> Profile:
    """Ten samples of a GPU's memory, then ten of so many percent more, after those left out."""
    memory = [0.0] * 5 + [20.0] * 10 + [20.0 + by] * 10
    return made([gpu_sample(50, 90, memory=each) for each in memory], GPU)


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
        (Dataloader(), prepared_in(photos=9.0), Status.ISSUES_FOUND),
        (Dataloader(), prepared_in(photos=2.0), Status.NO_ISSUES_FOUND),
        (Dataloader(), cached(), Status.NO_ISSUES_FOUND),
        (MaxInitializationTime(), made(), Status.NOT_EVALUATED),
        (MaxInitializationTime(), prepared_in(photos=1199.0), Status.ISSUES_FOUND),
        (MaxInitializationTime(), prepared_in(photos=1000.0), Status.NO_ISSUES_FOUND),
        (StalledTrainingRule(), made(), Status.NOT_EVALUATED),
        (StalledTrainingRule(), made(timed=ending([1.0, 2.0, 1803.0])), Status.ISSUES_FOUND),
        (StalledTrainingRule(), made(timed=ending([1.0, 2.0, 1801.0])), Status.NO_ISSUES_FOUND),
        (LowGPUUtilization(), made(), Status.NOT_EVALUATED),
        (LowGPUUtilization(), made([BUSY] * 30, GPU), Status.NOT_EVALUATED),
        (LowGPUUtilization(), made([gpu_sample(50, 60)] * 30, GPU), Status.ISSUES_FOUND),
        (
            LowGPUUtilization(),
            made([gpu_sample(50, each) for each in (5, 90)] * 15, GPU),
            Status.ISSUES_FOUND,
        ),
        (LowGPUUtilization(), made([gpu_sample(50, 90)] * 30, GPU), Status.NO_ISSUES_FOUND),
        (GPUMemoryIncrease(), made(), Status.NOT_EVALUATED),
        (GPUMemoryIncrease(), growing(2.0), Status.NO_ISSUES_FOUND),
        (GPUMemoryIncrease(), growing(6.0), Status.ISSUES_FOUND),
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
        "MaxInitializationTime": {"threshold": 20.0},
        "StalledTrainingRule": {"threshold": 1800.0},
        "LowGPUUtilization": {
            "threshold_p95": 70.0,
            "threshold_p5": 10.0,
            "window": 500,
            "patience": 5,
        },
        "GPUMemoryIncrease": {"increase": 5.0, "window": 10, "patience": 5},
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


def test_quantiles_and_histogram_are_of_the_steps() -> None:
    (times,) = step_times(made(timed=steps([each / 1000 for each in range(1, 101)])))

    assert (times.p50, times.p95, times.p99, times.longest) == (0.05, 0.095, 0.099, 0.1)
    assert sum(times.counts) == times.steps == 100
    assert times.edges[0] == 0.001
    assert times.counts[-1] >= times.counts[0] > 0


class Slow(TrainingObserver):
    """Takes its time where a test wants it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def on_step(self, phase: Phase, step: int, loss: Tensor) -> None:
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
def test_a_file_that_is_not_the_profilers_is_reported(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "profile.json").write_text(content)

    with pytest.raises(TrainingError, match="imagedrop inspect"):
        read_profile(tmp_path / "profile.json")
