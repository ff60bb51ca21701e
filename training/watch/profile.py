"""The profiler's records: their types, and the JSON file that holds them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.watch.observer import Phase

FILE_NAME = "profile.json"


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Wall time of one phase in seconds, from its beginning to the end of its last epoch."""

    phase: Phase
    data: float
    """Waiting for batches."""
    forward: float
    backward: float
    optimizer: float
    evaluation: float
    """Validation, including its batches."""
    other: float
    """The rest: keeping the best weights, checkpoints, observers (including this profiler)."""

    @property
    def total(self) -> float:
        return sum(seconds for _, seconds in self.parts())

    def parts(self) -> list[tuple[str, float]]:
        """Name and seconds of each part, in the order of a step."""
        return [
            ("data loading", self.data),
            ("forward", self.forward),
            ("backward", self.backward),
            ("optimizer", self.optimizer),
            ("evaluation", self.evaluation),
            ("other", self.other),
        ]


@dataclass(frozen=True, slots=True)
class Preparation:
    """Wall time in seconds of everything before the first phase, by what it was spent on."""

    hashing: float
    """Listing the folder, and reading every file for its hash."""
    network: float
    """Building the network and loading its weights."""
    photos: float
    """The backbone's waiting for photos: reading, decoding, resizing."""
    backbone: float
    """Computing features."""
    storing: float
    """Writing features to the cache."""
    looks: float
    """Finding photos that look the same."""
    other: float
    computed: int
    """Photos whose features were computed; those of the others were in the cache."""

    @property
    def total(self) -> float:
        return sum(seconds for _, seconds in self.parts())

    def parts(self) -> list[tuple[str, float]]:
        """Name and seconds of each part, in their order."""
        return [
            ("reading and hashing files", self.hashing),
            ("building the network", self.network),
            ("waiting for photos", self.photos),
            ("backbone", self.backbone),
            ("writing features", self.storing),
            ("finding copies", self.looks),
            ("other", self.other),
        ]


@dataclass(frozen=True, slots=True)
class Stages:
    """Wall time in seconds of the three stages of a training, as SageMaker's report has them."""

    initialization: float
    """Until the first step: the preparation, and what precedes and follows it."""
    loop: float
    """From the first step to the end of the last epoch."""
    finalization: float
    """After the last epoch: the last answers, the export, records; 0 where it ended before."""

    def parts(self) -> list[tuple[str, float]]:
        return [
            ("initialization", self.initialization),
            ("training loop", self.loop),
            ("finalization", self.finalization),
        ]


@dataclass(frozen=True, slots=True)
class StepTime:
    """One training step."""

    phase: Phase
    step: int
    data: float
    """Seconds spent waiting for the batch."""
    compute: float
    """Seconds of forward, backward and optimizer."""
    profiled: bool
    """Whether torch.profiler recorded the step, which makes it slower."""
    ended: float = 0.0
    """Wall seconds since the training began, when the step was over."""
    forward: float = 0.0
    backward: float = 0.0
    optimizer: float = 0.0

    @property
    def seconds(self) -> float:
        return self.data + self.compute


@dataclass(frozen=True, slots=True)
class Operator:
    """The time of one of torch's operators in the profiled steps of a phase."""

    phase: Phase
    name: str
    calls: int
    cpu_seconds: float
    """Without the operators that it calls."""
    gpu_seconds: float


@dataclass(frozen=True, slots=True)
class SystemSample:
    """The usage of the machine since the previous sample, in percent, 0..100.

    None where this machine cannot measure it.
    """

    seconds: float
    """Since the training began."""
    cpu: float
    """Of all cores, by whatever runs on them."""
    io_wait: float | None
    """Of all cores: idle while waiting for a disk."""
    gpu: float | None
    gpu_memory: float | None


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that the training ran on."""

    cores: int
    """The cores that this process may use."""
    memory_bytes: int
    peak_memory_bytes: int
    """Of this process."""
    gpu: str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a training."""

    machine: Machine
    batch_size: int
    loader_workers: int
    """Processes that load photos; 0: the training's own process loads them."""
    splits: tuple[TimeSplit, ...]
    steps: tuple[StepTime, ...]
    operators: tuple[Operator, ...]
    """Those with the most time in each phase."""
    samples: tuple[SystemSample, ...]
    preparation: Preparation | None = None
    """None where it is not known."""
    stages: Stages | None = None

    def write(self, file: Path) -> None:
        """Writes the profile as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), allow_nan=False) + "\n", encoding="utf-8")


def read_profile(file: Path) -> Profile:
    """Reads the profiler's file.

    Raises:
        TrainingError: the file does not exist, or is not the profiler's.
    """
    next_step = "Train with --profile, or: imagedrop inspect --data FOLDER"
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return Profile(
            Machine(**values["machine"]),
            values["batch_size"],
            values["loader_workers"],
            tuple(TimeSplit(**each) for each in values["splits"]),
            tuple(StepTime(**each) for each in values["steps"]),
            tuple(Operator(**each) for each in values["operators"]),
            tuple(SystemSample(**each) for each in values["samples"]),
            Preparation(**values["preparation"]) if values.get("preparation") else None,
            Stages(**values["stages"]) if values.get("stages") else None,
        )
    except FileNotFoundError as error:
        raise TrainingError(f"There is no {file}.", next_step) from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{file} is not the profiler's: {error!r}.", next_step) from error
