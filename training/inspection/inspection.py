"""Inspects a training, or the files of an earlier one: from its records to its findings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from training.data.batches import FeatureBatches, PhotoBatches
from training.errors import TrainingError
from training.exporting import RECORD_NAME
from training.inspection.class_rules import ClassCounts
from training.inspection.findings import Finding, Status
from training.inspection.rules import judge, judge_profile
from training.prepared import Prepared, prepare
from training.settings import TrainSettings
from training.train import Fitted, fit
from training.watch import observations, profile
from training.watch.inspectors import inspectors
from training.watch.observations import Observations, read_observations
from training.watch.observer import TrainingObserver
from training.watch.profile import Profile, read_profile

JSON_NAME = "inspection.json"


@dataclass(frozen=True, slots=True)
class Inspection:
    """The records of a training, and the findings."""

    settings: dict[str, Any]
    """Of the training; empty when it wrote no record."""
    prepare_seconds: float | None
    """Time until the features were computed; None for an earlier training."""
    seen: Observations | None
    """None without a monitor."""
    profile: Profile | None
    """None without a profiler."""
    findings: tuple[Finding, ...]

    @property
    def issues(self) -> tuple[Finding, ...]:
        """The findings that need attention."""
        return tuple(each for each in self.findings if each.status is Status.ISSUES_FOUND)

    def to_json(self) -> dict[str, Any]:
        """`inspection.json`: findings, cost of the monitor, time split, operators."""
        cost = self.seen.cost if self.seen else None
        return {
            "settings": self.settings,
            "findings": [asdict(finding) for finding in self.findings],
            "monitor": None if cost is None else asdict(cost) | {"share": cost.share},
            "trained": [asdict(begin) for begin in self.seen.phases] if self.seen else [],
            "prepare_seconds": self.prepare_seconds,
            "time": [asdict(each) for each in self.profile.splits] if self.profile else [],
            "operators": [asdict(each) for each in self.profile.operators] if self.profile else [],
            "machine": asdict(self.profile.machine) if self.profile else None,
        }

    def write(self, folder: Path) -> Path:
        """Writes the JSON; returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / JSON_NAME
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
        file.write_text(f"{text}\n", encoding="utf-8")
        return file


def inspect_training(
    settings: TrainSettings, observers: Sequence[TrainingObserver] = ()
) -> Inspection:
    """Trains with monitor and profiler; exports nothing.

    Args:
        settings: including how often the monitor records.
        observers: further observers, such as a progress bar.

    Raises:
        TrainingError: the training cannot start.
        OSError: a file cannot be read or written.
    """
    settings = replace(settings, profile=True)
    started = perf_counter()
    prepared = prepare(settings)
    prepare_seconds = perf_counter() - started
    fitted = fit(prepared, settings, [*inspectors(settings), *observers])
    return _inspection(settings, class_counts(prepared, fitted, settings), prepare_seconds)


def inspect_output(folder: Path) -> Inspection:
    """Inspects the output folder of a training with `--monitor-interval`, `--profile` or both.

    Raises:
        TrainingError: the folder has neither file, or one is damaged.
    """
    record = folder / RECORD_NAME
    values = json.loads(record.read_text(encoding="utf-8"))["settings"] if record.exists() else {}
    seen, recorded = _files(folder)
    return _judged(values, seen, recorded, (), None)


def class_counts(
    prepared: Prepared, fitted: Fitted, settings: TrainSettings
) -> tuple[ClassCounts, ...]:
    """Counts the training images, validation images and wrong predictions of each class."""
    train = Counter(prepared.images[row].class_index for row in fitted.partition.train)
    labels = [prepared.images[row].class_index for row in fitted.partition.valid]
    predicted = predictions(prepared, fitted, settings, fitted.partition.valid)
    measured = Counter(labels)
    wrong = Counter(
        label for label, answer in zip(labels, predicted, strict=True) if label != answer
    )
    return tuple(
        ClassCounts(name, train[index], measured[index] if labels else None, wrong[index])
        for index, name in enumerate(prepared.data.classes)
    )


def predictions(
    prepared: Prepared, fitted: Fitted, settings: TrainSettings, rows: Sequence[int]
) -> list[int]:
    """Predicts the most likely class of each image."""
    if not rows:
        return []
    network = fitted.network.eval()
    images = [prepared.images[row] for row in rows]
    # The cached features are those of the backbone before the training.
    if settings.unfreeze == "none":
        batches = FeatureBatches(
            prepared.features.values,
            prepared.labels.to(prepared.device),
            settings.batch_size,
            training=False,
            rows=rows,
        )()
        module: Any = network.head
    else:
        batches = PhotoBatches(
            images, prepared.spec, settings.batch_size, prepared.device, training=False
        )()
        module = network
    with torch.inference_mode():
        answers: list[Tensor] = [module(inputs).argmax(dim=1).cpu() for inputs, _ in batches]
    predicted: list[int] = torch.cat(answers).tolist()
    return predicted


def _inspection(
    settings: TrainSettings, classes: Sequence[ClassCounts], prepare_seconds: float
) -> Inspection:
    seen, recorded = _files(settings.output_dir)
    return _judged(settings.to_json(), seen, recorded, classes, prepare_seconds)


def _files(folder: Path) -> tuple[Observations | None, Profile | None]:
    monitored, profiled = folder / observations.FILE_NAME, folder / profile.FILE_NAME
    if not monitored.exists() and not profiled.exists():
        raise TrainingError(
            f"{folder} holds nothing to inspect.",
            "Train with --monitor-interval 50 --profile, or: imagedrop inspect --data FOLDER",
        )
    return (
        read_observations(monitored) if monitored.exists() else None,
        read_profile(profiled) if profiled.exists() else None,
    )


def _judged(
    settings: dict[str, Any],
    seen: Observations | None,
    recorded: Profile | None,
    classes: Sequence[ClassCounts],
    prepare_seconds: float | None,
) -> Inspection:
    findings = () if seen is None else judge(seen, classes, len(seen.epochs))
    if recorded is not None:
        findings += judge_profile(recorded)
    return Inspection(settings, prepare_seconds, seen, recorded, findings)
