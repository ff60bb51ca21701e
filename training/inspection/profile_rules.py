"""SageMaker Debugger's rules about time.

Names, parameters and defaults are those of "List of Debugger Built-in Profiler Rules",
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-profiler-rules.html, except for
`patience`: SageMaker skips 100 to 1,000 samples of a job of hours, this skips `PATIENCE`, because
a head is trained within seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev

from training.inspection.findings import Finding, Question
from training.watch.profile import Profile, StepTime, SystemSample

PATIENCE = 5
"""Samples or steps at the beginning that are not typical."""
LEAST_SAMPLES = 10
NO_GPU = "There is no GPU: the CPU does the computing."
NO_LIBRARY = " The usage of a GPU is only known with nvidia-ml-py installed."
SLOWEST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class StepOutlier:
    """Whether more than `n_outliers` steps took longer than `stddev` standard deviations.

    Steps are compared within a phase, without those that torch.profiler slowed down.
    """

    stddev: float = 5.0
    n_outliers: int = 10

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "Do steps take equally long?")
        answers = []
        outliers: list[StepTime] = []
        for split in profile.splits:
            steps = [
                step for step in profile.steps if step.phase == split.phase and not step.profiled
            ][PATIENCE:]
            if len(steps) < LEAST_SAMPLES:
                continue
            outliers += self._outliers(steps)
            seconds = [step.seconds for step in steps]
            answers.append(
                f"phase {split.phase}: median {1e3 * median(seconds):.3g} ms, longest "
                f"{1e3 * max(seconds):.3g} ms of {len(steps)} steps"
            )
        if not answers:
            return question.open(f"No phase had {PATIENCE + LEAST_SAMPLES} steps.")
        answer = f"{'; '.join(answers)}; {len(outliers)} far above the others."
        if len(outliers) > self.n_outliers:
            slowest = sorted(outliers, key=lambda step: step.seconds, reverse=True)
            steps_named = ", ".join(str(step.step) for step in slowest[:SLOWEST_SHOWN])
            waiting = fmean(step.data / step.seconds for step in outliers)
            return question.issue(
                f"{answer} The slowest: steps {steps_named}.",
                "They waited for photos: put the data set on a faster disk, or make the photos "
                "smaller once."
                if waiting > 0.5
                else "Something else used the machine at these steps: another program, a "
                "checkpoint, a monitor that records too often (--monitor-interval).",
            )
        return question.fine(answer)

    def _outliers(self, steps: Sequence[StepTime]) -> list[StepTime]:
        seconds = [step.seconds for step in steps]
        limit = fmean(seconds) + self.stddev * pstdev(seconds)
        return [step for step in steps if step.seconds > limit]


@dataclass(frozen=True, slots=True)
class CPUBottleneck:
    """Whether for more than `threshold` percent of the time a GPU idles while the CPU is busy."""

    threshold: float = 50.0
    gpu_threshold: float = 10.0
    cpu_threshold: float = 90.0

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "Does the GPU wait for the CPU?")
        if profile.machine.gpu is None:
            return question.open(NO_GPU)
        used = [(each.gpu, each.cpu) for each in profile.samples[PATIENCE:] if each.gpu is not None]
        if len(used) < LEAST_SAMPLES:
            return question.open(too_few(profile) + NO_LIBRARY)
        waiting = [gpu < self.gpu_threshold and cpu > self.cpu_threshold for gpu, cpu in used]
        share = 100 * fmean(waiting)
        answer = f"{share:.0f} % of the time."
        if share > self.threshold:
            return question.issue(
                answer,
                "Prepare the photos once instead of every epoch (head only: features are cached), "
                "or take a machine with more cores for each GPU.",
            )
        return question.fine(answer)


@dataclass(frozen=True, slots=True)
class IOBottleneck:
    """Whether for more than `threshold` percent of the time computing waits for a disk.

    Without a GPU, `gpu_threshold` applies to the usage of the CPU.
    """

    threshold: float = 50.0
    gpu_threshold: float = 70.0
    io_threshold: float = 50.0

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "Does it wait for a disk?")
        samples = profile.samples[PATIENCE:]
        waits = [sample.io_wait for sample in samples if sample.io_wait is not None]
        if len(waits) < LEAST_SAMPLES:
            return question.open(too_few(profile))
        waited = [
            sample
            for sample in samples
            if (sample.io_wait or 0.0) > self.io_threshold
            and (sample.cpu if sample.gpu is None else sample.gpu) < self.gpu_threshold
        ]
        share = 100 * len(waited) / len(waits)
        answer = (
            f"{share:.0f} % of the time; waiting for disks took {fmean(waits):.1f} % on average."
        )
        if share > self.threshold:
            return question.issue(
                answer, "Copy the data set to a local SSD, or train with features cached in memory."
            )
        return question.fine(answer)


@dataclass(frozen=True, slots=True)
class Dataloader:
    """Whether steps wait for their batches for more than `max_waiting` percent of their time.

    SageMaker's rule guesses this from the number of loader processes and cores; here the waiting
    is measured, also that of the pass that computes features. The parameter is ours.
    """

    max_waiting: float = 20.0

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "Do steps wait for photos?")
        if not profile.splits:
            return question.open("No step ran.")
        shares = waiting_shares(profile)
        if not shares:
            return question.fine("No photo was loaded: only cached features were read.")
        answer = "; ".join(f"{name}: {share:.1f} %" for name, share in shares.items())
        answer = (
            f"{answer} of the time is waiting; {profile.loader_workers} loader processes, "
            f"{profile.machine.cores} cores."
        )
        if max(shares.values()) > self.max_waiting:
            return question.issue(
                answer,
                "Make the photos smaller once (about 500 pixels are enough), put them on a faster "
                "disk, or train the head only, whose features are cached.",
            )
        return question.fine(answer)


def waiting_shares(profile: Profile) -> dict[str, float]:
    """The percentage of time that waits for photos, of each pass over photos.

    The phase `head` reads features instead of photos.
    """
    shares = {}
    before = profile.preparation
    if before is not None and before.computed:
        working = before.photos + before.backbone + before.storing
        shares["computing features"] = 100 * before.photos / working if working else 0.0
    for split in profile.splits:
        if split.phase != "head":
            steps = split.data + split.forward + split.backward + split.optimizer
            shares[f"phase {split.phase}"] = 100 * split.data / steps if steps else 0.0
    return shares


@dataclass(frozen=True, slots=True)
class BatchSize:
    """Whether 95 % of the time CPU, GPU and GPU memory are all used less than the thresholds."""

    cpu_threshold_p95: float = 70.0
    gpu_threshold_p95: float = 70.0
    gpu_memory_threshold_p95: float = 70.0

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "Is the batch large enough to keep the machine busy?")
        samples = profile.samples[PATIENCE:]
        if len(samples) < LEAST_SAMPLES:
            return question.open(too_few(profile))
        used = {name: percentile(values, 95) for name, values in usage(samples).items()}
        limits = {
            "CPU": self.cpu_threshold_p95,
            "GPU": self.gpu_threshold_p95,
            "GPU memory": self.gpu_memory_threshold_p95,
        }
        measured = {name: used[name] for name in limits if name in used}
        answer = f"Batches of {profile.batch_size}; 95 % of the time at most " + ", ".join(
            f"{name} {value:.0f} %" for name, value in measured.items()
        )
        if all(value < limits[name] for name, value in measured.items()):
            return question.issue(
                f"{answer}.", "Try a larger --batch-size, or take a smaller machine."
            )
        return question.fine(f"{answer}.")


@dataclass(frozen=True, slots=True)
class OverallSystemUsage:
    """How busy the machine was; never an issue."""

    def __call__(self, profile: Profile) -> Finding:
        question = Question.of(self, "How busy was the machine?")
        if not profile.samples:
            return question.open(too_few(profile))
        answers = [
            f"{name}: median {percentile(values, 50):.0f} %, 95 % of the time at most "
            f"{percentile(values, 95):.0f} %"
            for name, values in usage(profile.samples).items()
        ]
        peak = profile.machine.peak_memory_bytes / 1e9
        total = profile.machine.memory_bytes / 1e9
        device = profile.machine.gpu or "no GPU"
        return question.fine(
            f"{'; '.join(answers)}. Memory: {peak:.1f} of {total:.0f} GB at most. "
            f"{profile.machine.cores} cores, {device}."
        )


def usage(samples: Sequence[SystemSample]) -> dict[str, list[float]]:
    """The samples in percent, 0..100, by what was measured."""
    columns = {
        "CPU": [sample.cpu for sample in samples],
        "waiting for disks": [each.io_wait for each in samples if each.io_wait is not None],
        "GPU": [sample.gpu for sample in samples if sample.gpu is not None],
        "GPU memory": [each.gpu_memory for each in samples if each.gpu_memory is not None],
    }
    return {name: values for name, values in columns.items() if values}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is at least as large as `percent` of them (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(percent * len(ordered)) // 100) - 1)]


def too_few(profile: Profile) -> str:
    """The reason why there are too few samples to judge."""
    return f"Too short: {len(profile.samples)} samples, {PATIENCE + LEAST_SAMPLES} are needed."
