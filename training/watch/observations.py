"""The monitor's records: their types, and the file of JSON lines that holds them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.watch.observer import EpochMetrics, Phase

FILE_NAME = "monitor.jsonl"
DEFAULT_INTERVAL = 50
"""Steps between two samples. Measured by `python -m bench.monitor`: a sample costs about as much as
a step of a head, the cheapest step there is; 50 is the smallest round number below 3 % overhead."""
UNCHANGED_RTOL, UNCHANGED_ATOL = 1e-5, 1e-8
"""The tolerances for no change: numpy.allclose's defaults, and those of SageMaker's
UnchangedTensor."""
INACTIVE_SHARE = 0.01
"""A rectifier that is positive less often is dead: SageMaker's DeadRelu, `threshold_inactivity`."""
TANH_RANGE, SIGMOID_RANGE = (-9.4999, 9.4999), (-23.0, 16.99999)
"""Beyond these inputs the derivative is below 0.0000001: SageMaker's SaturatedActivation."""


@dataclass(frozen=True, slots=True)
class GradientStatistics:
    """Statistics of the gradient of one parameter."""

    norm: float
    mean_abs: float
    p5: float
    """Percentile, of a sample of its values."""
    p95: float
    zeros: float = 0.0
    """0..1: the share of its values that are zero."""


@dataclass(frozen=True, slots=True)
class WeightStatistics:
    """Statistics of one trained parameter."""

    norm: float
    mean: float
    variance: float
    zeros: float = 0.0
    """0..1: the share of its values that are zero."""
    norm_before: float | None = None
    """Before the step; None in records of earlier versions."""
    update_norm: float | None = None
    """Of the step's change."""
    change: float | None = None
    """The largest change of a value, in units of UNCHANGED_ATOL + UNCHANGED_RTOL * |value|."""


@dataclass(frozen=True, slots=True)
class ReluStatistics:
    """Statistics of the input of a rectifier (ReLU, ReLU6), of at most `monitor.SAMPLED_IMAGES`."""

    mean: float
    variance: float
    dead: float
    """0..1: the share of its channels that are positive in at most 1 % of their positions."""


@dataclass(frozen=True, slots=True)
class PhaseBegin:
    """The trained parameters of a phase."""

    phase: Phase
    trained: tuple[str, ...]
    """Names of the parameters with gradients."""
    trained_values: int
    frozen_values: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The statistics of one step."""

    phase: Phase
    step: int
    loss: float
    gradients: Mapping[str, GradientStatistics]
    weights: Mapping[str, WeightStatistics]
    relu_inputs: Mapping[str, ReluStatistics]
    """In the order of the computation; empty where only the head runs."""
    saturated: Mapping[str, float] = field(default_factory=dict)
    """0..1 of each tanh and sigmoid, by its name: the share of its channels that are saturated."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """The metrics of an epoch, and the loss of each of its steps."""

    metrics: EpochMetrics
    losses: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """The time that the monitor took."""

    interval: int
    samples: int
    steps: int
    seconds: float
    """Wall time in the monitor."""
    training_seconds: float
    """Wall time of the training without the monitor."""

    @property
    def share(self) -> float:
        """The overhead relative to the training's time, 0 or more."""
        return self.seconds / self.training_seconds if self.training_seconds else 0.0


@dataclass(frozen=True, slots=True)
class Observations:
    """All records of a training."""

    phases: tuple[PhaseBegin, ...]
    samples: tuple[Sample, ...]
    epochs: tuple[Epoch, ...]
    cost: Cost | None
    """None when the training did not end normally."""

    def losses(self, phase: Phase) -> tuple[float, ...]:
        """The losses of all steps of a phase."""
        return tuple(
            loss for epoch in self.epochs if epoch.metrics.phase == phase for loss in epoch.losses
        )


Record = PhaseBegin | Sample | Epoch | Cost


def to_line(record: Record) -> str:
    """Writes one line of JSON; infinity and NaN, which JSON lacks, become strings."""
    return json.dumps(
        _finite({"kind": type(record).__name__.lower()} | asdict(record)), allow_nan=False
    )


def read_observations(file: Path) -> Observations:
    """Reads the monitor's file.

    Raises:
        TrainingError: the file does not exist, or is not the monitor's.
    """
    next_step = "Train with --monitor-interval 50, or: imagedrop inspect --data FOLDER"
    try:
        records = list(_records(file))
    except FileNotFoundError as error:
        raise TrainingError(f"There is no {file}.", next_step) from error
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{file} is not the monitor's: {error!r}.", next_step) from error
    return Observations(
        phases=tuple(each for each in records if isinstance(each, PhaseBegin)),
        samples=tuple(each for each in records if isinstance(each, Sample)),
        epochs=tuple(each for each in records if isinstance(each, Epoch)),
        cost=next((each for each in records if isinstance(each, Cost)), None),
    )


def _records(file: Path) -> Iterator[Record]:
    for line in file.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        match values.pop("kind"):
            case "phasebegin":
                yield PhaseBegin(**values | {"trained": tuple(values["trained"])})
            case "sample":
                yield _sample(values)
            case "epoch":
                losses = tuple(float(loss) for loss in values["losses"])
                yield Epoch(EpochMetrics(**_numbers(values["metrics"])), losses)
            case "cost":
                yield Cost(**values)
            case other:
                raise ValueError(f"unknown kind {other}")


def _sample(values: dict[str, Any]) -> Sample:
    kinds = {
        "gradients": GradientStatistics,
        "weights": WeightStatistics,
        "relu_inputs": ReluStatistics,
    }
    statistics = {
        key: {name: kind(**_numbers(each)) for name, each in values[key].items()}
        for key, kind in kinds.items()
    }
    saturated = _numbers(values.get("saturated", {}))
    return Sample(
        values["phase"], values["step"], float(values["loss"]), **statistics, saturated=saturated
    )


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: float(value) if value in ("nan", "inf", "-inf") else value
        for name, value in values.items()
    }


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else str(value)
        case dict():
            return {name: _finite(each) for name, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
        case _:
            return value
