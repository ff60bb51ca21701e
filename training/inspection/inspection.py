"""Inspects a training, or the files of an earlier one: from its records to its findings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.inspection.answer_rules import Answers
from training.inspection.class_rules import ClassCounts
from training.inspection.findings import Finding, Status
from training.inspection.rules import judge, judge_profile
from training.inspection.times import time_json, write_trace
from training.loop.prepared import Prepared, prepare
from training.settings import TrainSettings
from training.statistics import out_of_fold
from training.statistics.out_of_fold import OutOfFold, read_out_of_fold
from training.tracking.run_folders import RECORD_NAME
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
    seen: Observations | None
    """None without a monitor."""
    profile: Profile | None
    """None without a profiler."""
    findings: tuple[Finding, ...]
    data_manifest_sha256: str = ""
    """Empty when the training wrote no record."""
    is_complete: bool = True
    """Whether no photo can be among what was left out of the data."""

    @property
    def issues(self) -> tuple[Finding, ...]:
        """The findings that need attention."""
        return tuple(each for each in self.findings if each.status is Status.ISSUES_FOUND)

    def to_json(self) -> dict[str, Any]:
        """`inspection.json`: findings, cost of the monitor, time split, operators."""
        cost = self.seen.cost if self.seen else None
        return {
            "settings": self.settings,
            "data_manifest_sha256": self.data_manifest_sha256,
            "findings": [asdict(finding) for finding in self.findings],
            "monitor": None if cost is None else asdict(cost) | {"share": cost.share},
            "trained": [asdict(begin) for begin in self.seen.phases] if self.seen else [],
            **time_json(self.profile),
            "operators": [asdict(each) for each in self.profile.operators] if self.profile else [],
            "machine": asdict(self.profile.machine) if self.profile else None,
        }

    def write(self, folder: Path) -> Path:
        """Writes the JSON, and a trace where there is a profile; returns the former's path."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.profile is not None:
            write_trace(self.profile, folder)
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
    prepared = prepare(settings)
    watching = [*inspectors(settings, prepared.preparation), *observers]
    fitted = fit(prepared, settings, watching)
    for observer in watching:
        observer.on_finish()
    answers = answers_of(fitted.answers)
    counts = class_counts(prepared, fitted, answers)
    found = _judged(settings.to_json(), _files(settings.output_dir), counts, answers)
    return replace(
        found,
        data_manifest_sha256=prepared.manifest_sha256,
        is_complete=prepared.data.is_complete,
    )


def inspect_output(folder: Path) -> Inspection:
    """Inspects the output folder of a training with `--monitor-interval`, `--profile` or both.

    Raises:
        TrainingError: the folder has neither file, or one is damaged.
    """
    record = folder / RECORD_NAME
    recorded = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    files = _files(folder)
    kept = folder / out_of_fold.FILE_NAME
    answers = answers_of(read_out_of_fold(kept)) if kept.exists() else None
    found = _judged(recorded.get("settings", {}), files, (), answers)
    return replace(found, data_manifest_sha256=recorded.get("data_manifest_sha256", ""))


def class_counts(
    prepared: Prepared, fitted: Fitted, answers: Answers | None
) -> tuple[ClassCounts, ...]:
    """Counts the training images, validation images and wrong answers of each class."""
    train = Counter(prepared.images[row].class_index for row in fitted.partition.train)
    truth, predicted = (answers.truth, answers.predicted) if answers else ((), ())
    measured = Counter(truth)
    wrong = Counter(label for label, each in zip(truth, predicted, strict=True) if label != each)
    return tuple(
        ClassCounts(name, train[index], measured[index] if answers else None, wrong[index])
        for index, name in enumerate(prepared.data.classes)
    )


def answers_of(found: OutOfFold | None) -> Answers | None:
    """The most likely label of each photo that was not trained on."""
    if found is None:
        return None
    predicted = found.logits[0].argmax(axis=1)
    return Answers(found.labels, tuple(found.truth.tolist()), tuple(predicted.tolist()))


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
    files: tuple[Observations | None, Profile | None],
    classes: Sequence[ClassCounts],
    answers: Answers | None,
) -> Inspection:
    seen, recorded = files
    findings = () if seen is None else judge(seen, classes, len(seen.epochs), answers)
    if recorded is not None:
        findings += judge_profile(recorded)
    return Inspection(settings, seen, recorded, findings)
