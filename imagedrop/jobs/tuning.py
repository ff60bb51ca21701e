"""Converts a tuning job's trials to the result of a search, as `imagedrop tune` writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from imagedrop.errors import UserError
from imagedrop.jobs.service import UNDER_WAY, Job
from training.settings import declared_settings
from training.tuning.search import SearchSpace, TrialResult, Tuning, out_of_reach

_STATUSES = {"Completed": "complete", "Stopped": "pruned", "Failed": "failed"}


def tuning_of(job: Job, trials: list[dict[str, Any]]) -> Tuning:
    """Converts a tuning job and its trials.

    Raises:
        UserError: no trial was completed.
    """
    results = [
        _result(number, each)
        for number, each in enumerate(trials)
        if each["TrainingJobStatus"] not in UNDER_WAY
    ]
    completed = [each for each in results if each.status == "complete" and each.value is not None]
    if not completed:
        raise UserError(
            f"No trial of {job.name} was completed.",
            f"See why with: imagedrop jobs status {job.name}",
        )
    configuration = job.description["HyperParameterTuningJobConfig"]
    best = max(completed, key=lambda each: each.value or 0.0)
    space = _space(configuration["ParameterRanges"])
    return Tuning(
        best=best.hyperparameters,
        value=best.value or 0.0,
        objective=configuration["HyperParameterTuningJobObjective"]["MetricName"],
        strategy=f"SageMaker, {configuration['Strategy']}",
        space=space.to_json(),
        trials=tuple(results),
        backbone=_backbone(job),
        out_of_reach=out_of_reach(space),
    )


def _backbone(job: Job) -> str:
    """That of every trial; a training's default where the request does not name one."""
    fixed = job.description.get("TrainingJobDefinition", {}).get("StaticHyperParameters", {})
    if "backbone" in fixed:
        return str(json.loads(fixed["backbone"]))
    return str(declared_settings()["backbone"].default)


def _result(number: int, trial: Mapping[str, Any]) -> TrialResult:
    metric = trial.get("FinalHyperParameterTuningJobObjectiveMetric")
    seconds = 0.0
    if "TrainingStartTime" in trial and "TrainingEndTime" in trial:
        seconds = (trial["TrainingEndTime"] - trial["TrainingStartTime"]).total_seconds()
    return TrialResult(
        number=number,
        hyperparameters={
            name.replace("-", "_"): _value(text)
            for name, text in trial["TunedHyperParameters"].items()
        },
        value=None if metric is None else float(metric["Value"]),
        status=_STATUSES[trial["TrainingJobStatus"]],
        seconds=seconds,
        intermediate=(),
    )


def _value(text: str) -> Any:
    """Parses `0.014`, `16`, and `"16"` as the SageMaker SDK writes a choice."""
    value = json.loads(text)
    return json.loads(value) if isinstance(value, str) else value


def _space(ranges: Mapping[str, Any]) -> SearchSpace:
    (lr,) = ranges["ContinuousParameterRanges"]
    (epochs,) = ranges["IntegerParameterRanges"]
    (sizes,) = ranges["CategoricalParameterRanges"]
    return SearchSpace(
        lr=(float(lr["MinValue"]), float(lr["MaxValue"])),
        batch_sizes=tuple(int(_value(each)) for each in sizes["Values"]),
        epochs=(int(epochs["MinValue"]), int(epochs["MaxValue"])),
    )
