"""Reads the files of trainings, searches, evaluations and inspections in `runs/NAME-TIME`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from imagedrop.errors import UserError
from training.settings import FOLDERS

_TIME = re.compile(r"-(\d{8}t\d{6}(?:-\d+)?)$")
# Settings about places, which do not affect results.
_PLACES = frozenset(FOLDERS) - {"data"}


class Kind(StrEnum):
    TRAINING = "training"
    TUNING = "tuning"
    EVALUATION = "evaluation"
    INSPECTION = "inspection"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Run:
    """One folder.

    Attributes:
        name: the folder's.
        data: sha256 of the data set, 64 hex digits; empty where it is not recorded.
        settings: the chosen settings, by name.
        metrics: the results, by name; of a search the objective of its best trial.
        seconds: wall time; None where it is not recorded.
    """

    name: str
    kind: Kind
    model: str = ""
    backbone: str = ""
    data: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        shown = ("top1", "log_loss", "ece")
        return {
            "run": self.name,
            "kind": self.kind.value,
            "model": self.model,
            "backbone": self.backbone,
            "data": self.data,
            **{name: self.metrics.get(name) for name in shown},
            "seconds": self.seconds,
        }


def runs_in(folder: Path) -> list[Run]:
    """Reads every run, the latest last; an unreadable one counts as unfinished."""
    if not folder.is_dir():
        return []
    found = [each for each in folder.iterdir() if each.is_dir() and not each.is_symlink()]
    return [read_run(each) for each in sorted(found, key=_by_time)]


def find_run(name: str, runs: Path) -> Run:
    """Finds a run by its name, or by the path of its folder.

    Raises:
        UserError: there is no such run, or it has no result.
    """
    folder = runs / name if (runs / name).is_dir() else Path(name)
    if not folder.is_dir():
        raise UserError(f"There is no run {name} in {runs}.", "See all: imagedrop runs")
    found = read_run(folder)
    if found.kind in (Kind.FAILED, Kind.UNFINISHED):
        raise UserError(f"{name} is {found.kind}: it has no result.", "See all: imagedrop runs")
    return found


def _by_time(folder: Path) -> tuple[str, str]:
    stamp = _TIME.search(folder.name)
    return (stamp.group(1) if stamp else "", folder.name)


def read_run(folder: Path) -> Run:
    """Reads one folder by the file that only its kind of run writes, and writes last."""
    name = folder.resolve().name
    for kind, read in _READERS.items():
        file = folder / f"{kind}.json"
        try:
            return Run(name, kind, **read(json.loads(file.read_text(encoding="utf-8"))))
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Run(name, Kind.UNFINISHED)
    return Run(name, Kind.FAILED if (folder / "failure").exists() else Kind.UNFINISHED)


def _training(record: Mapping[str, Any]) -> dict[str, Any]:
    settings, measured = dict(record["settings"]), record["metrics"]
    metrics = {"top1": "valid_top1", "top5": "valid_top5", "log_loss": "valid_loss"}
    return {
        "model": record["model"],
        "backbone": record["architecture"],
        "data": record["data_manifest_sha256"],
        "settings": {
            **{name: value for name, value in settings.items() if name not in _PLACES},
            "code_revision": record.get("code_revision"),
            **record.get("versions", {}),
        },
        "metrics": _numbers({name: measured[key] for name, key in metrics.items()})
        | _numbers({"ece": record.get("ece")})
        | _numbers({"epoch_kept": measured["epoch"], "train_loss": measured["train_loss"]})
        | _numbers({name: record[name] for name in ("train_images", "valid_images")}),
        "seconds": float(record["seconds"]),
    }


def _tuning(found: Mapping[str, Any]) -> dict[str, Any]:
    objective = "log_loss" if found.get("lower_is_better") else "top1"
    return {
        "backbone": found.get("backbone", ""),
        "data": found.get("data_manifest_sha256", ""),
        "settings": {**found["best"], "strategy": found["strategy"]},
        "metrics": _numbers({objective: found["value"], "trials": len(found["trials"])}),
        "seconds": float(sum(each["seconds"] for each in found["trials"])),
    }


def _evaluation(found: Mapping[str, Any]) -> dict[str, Any]:
    metrics = {name: found[name] for name in ("top1", "top5", "macro_f1", "log_loss", "images")}
    return {
        "model": found["model"],
        "data": found["data_manifest_sha256"],
        "settings": {"measured_on": found["measured_on"]},
        "metrics": _numbers(metrics | {"ece": found["calibration"]["ece_before"]}),
    }


def _inspection(found: Mapping[str, Any]) -> dict[str, Any]:
    settings = dict(found["settings"])
    issues = sum(each["status"] == "IssuesFound" for each in found["findings"])
    return {
        "backbone": settings.get("backbone", ""),
        "data": found.get("data_manifest_sha256", ""),
        "settings": {name: value for name, value in settings.items() if name not in _PLACES},
        "metrics": _numbers({"issues": issues}),
    }


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value is not None}


_READERS = {
    Kind.TRAINING: _training,
    Kind.TUNING: _tuning,
    Kind.EVALUATION: _evaluation,
    Kind.INSPECTION: _inspection,
}


def differing(one: Run, other: Run) -> Iterator[tuple[str, str, str]]:
    """Yields name and both values of each setting that differs; what one lacks is empty."""
    ours = {"model": one.model, "backbone": one.backbone, "data": one.data[:12], **one.settings}
    theirs = {
        "model": other.model,
        "backbone": other.backbone,
        "data": other.data[:12],
        **other.settings,
    }
    for name in dict.fromkeys((*ours, *theirs)):
        values = _text(ours.get(name)), _text(theirs.get(name))
        if values[0] != values[1]:
            yield name, *values


def side_by_side(one: Run, other: Run) -> Iterator[tuple[str, str, str]]:
    """Yields name and both values of each metric that one of them has, and the seconds."""
    ours, theirs = (
        {**each.metrics, **({} if each.seconds is None else {"seconds": each.seconds})}
        for each in (one, other)
    )
    for name in dict.fromkeys((*ours, *theirs)):
        yield name, _number(ours.get(name)), _number(theirs.get(name))


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4f}"
