"""A tuning job of SageMaker and the request that creates it.

The shapes are those of CreateHyperParameterTuningJob
(https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from training.errors import TrainingError
from training.launch.training_job import (
    TrainingJob,
    algorithm,
    encoded,
    entry_point,
    machine_and_data,
    tag_list,
)
from training.tuning.search import OBJECTIVE, SearchSpace

Strategy = Literal["Bayesian", "Hyperband", "Random"]
WarmStart = Literal["IdenticalDataAndAlgorithm", "TransferLearning"]
SEARCHED = ("lr", "batch-size", "epochs")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningJob:
    """A search over `space`, each trial a run of `training`.

    Attributes:
        training: the settings of every trial, and the tags of the search. Its name and checkpoints
            are not used: SageMaker names the trials, and does not document whether it separates
            their checkpoints. A trial on a reclaimed spot machine starts again.
        parents: earlier tuning jobs to start from.

    Raises:
        TrainingError: two fields contradict each other, or SageMaker would refuse one.
    """

    name: str
    training: TrainingJob
    space: SearchSpace = field(default_factory=SearchSpace)
    strategy: Strategy = "Bayesian"
    max_trials: int = 20
    max_parallel: int = 2
    early_stopping: bool = True
    random_seed: int = 1
    parents: tuple[str, ...] = ()
    warm_start: WarmStart = "IdenticalDataAndAlgorithm"

    def __post_init__(self) -> None:
        for problem, next_step in _problems(self):
            raise TrainingError(problem, next_step)


def tuning_job_request(job: TuningJob) -> dict[str, Any]:
    """Builds the arguments of CreateHyperParameterTuningJob."""
    request: dict[str, Any] = {
        "HyperParameterTuningJobName": job.name,
        "HyperParameterTuningJobConfig": _configuration(job),
        "TrainingJobDefinition": _definition(job),
    }
    if job.parents:
        request["WarmStartConfig"] = {
            "ParentHyperParameterTuningJobs": [
                {"HyperParameterTuningJobName": name} for name in job.parents
            ],
            "WarmStartType": job.warm_start,
        }
    if job.training.tags:
        request["Tags"] = tag_list(job.training.tags)
    return request


def parameter_ranges(space: SearchSpace) -> dict[str, Any]:
    """`ParameterRanges`: learning rates (logarithmic), batch sizes, numbers of epochs."""
    return {
        "ContinuousParameterRanges": [
            {
                "Name": "lr",
                "MinValue": str(space.lr[0]),
                "MaxValue": str(space.lr[1]),
                "ScalingType": "Logarithmic",
            }
        ],
        "IntegerParameterRanges": [
            {
                "Name": "epochs",
                "MinValue": str(space.epochs[0]),
                "MaxValue": str(space.epochs[1]),
                "ScalingType": "Linear",
            }
        ],
        "CategoricalParameterRanges": [
            {"Name": "batch-size", "Values": [str(size) for size in space.batch_sizes]}
        ],
    }


def _configuration(job: TuningJob) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        "Strategy": job.strategy,
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": OBJECTIVE},
        "ResourceLimits": {
            "MaxNumberOfTrainingJobs": job.max_trials,
            "MaxParallelTrainingJobs": job.max_parallel,
        },
        "ParameterRanges": parameter_ranges(job.space),
        # Hyperband ends hopeless trials itself and allows no other rule.
        "TrainingJobEarlyStoppingType": (
            "Auto" if job.early_stopping and job.strategy != "Hyperband" else "Off"
        ),
        "RandomSeed": job.random_seed,
    }
    if job.strategy == "Hyperband":
        # One unit of resource is one line of metrics, so one epoch.
        lowest, highest = job.space.epochs
        configuration["StrategyConfig"] = {
            "HyperbandStrategyConfig": {"MinResource": lowest, "MaxResource": highest}
        }
    return configuration


def _definition(job: TuningJob) -> dict[str, Any]:
    training = job.training
    return {
        "StaticHyperParameters": encoded(training.hyperparameters) | entry_point(training),
        "AlgorithmSpecification": algorithm(training),
        **machine_and_data(training),
    }


def _problems(job: TuningJob) -> list[tuple[str, str]]:
    """Problems of the job, each with the next step."""
    fixed = sorted(set(SEARCHED) & set(job.training.hyperparameters))
    checks = [
        (
            _NAME.fullmatch(job.name) is not None,
            f"{job.name!r} is not a valid name of a tuning job.",
            "Use up to 32 letters, digits and hyphens.",
        ),
        (
            job.training.debugger is None,
            "Debugger cannot be used in a tuning job: SageMaker refuses the request.",
            "Tune without it, then train once with the best and --debugger.",
        ),
        (not fixed, f"Both fixed and searched: {', '.join(fixed)}.", "Leave them to the search."),
        (job.max_trials >= 1, "A search needs at least one trial.", "Raise --trials."),
        (
            1 <= job.max_parallel <= job.max_trials,
            f"{job.max_parallel} trials at once, of {job.max_trials} in all.",
            "Give --parallel between 1 and --trials.",
        ),
        (
            len(job.parents) <= 5,
            "SageMaker starts from at most five searches.",
            "Give fewer --parent.",
        ),
    ]
    return [(problem, next_step) for holds, problem, next_step in checks if not holds]
