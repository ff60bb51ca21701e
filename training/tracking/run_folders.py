"""Each training, search, evaluation and inspection gets its own folder: `runs/NAME-TIME`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from training.settings import RUN_FOLDER, RUN_MODEL_FOLDER, TrainSettings

RUNS = RUN_FOLDER.parent
# Of a training: its settings, history, data, versions.
RECORD_NAME = "training.json"


def time_stamp(moment: datetime) -> str:
    """Formats the time as letters and digits, to the second."""
    return moment.strftime("%Y%m%dt%H%M%S")


def new_run_folder(name: str, moment: datetime | None = None, runs: Path = RUNS) -> Path:
    """Makes and returns `runs/NAME-TIME`, with -2, -3, … behind it where that exists.

    Args:
        name: characters other than letters, digits, points, underscores and hyphens become hyphens.
        moment: in UTC; by default now.

    Raises:
        OSError: it cannot be made.
    """
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    stamped = f"{stem}-{time_stamp(moment or datetime.now(UTC))}"
    runs.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = runs / (stamped if number == 1 else f"{stamped}-{number}")
        try:
            folder.mkdir()  # two commands at once cannot both make it
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")


@contextmanager
def run_folder(given: Path | None, name: str) -> Iterator[Path]:
    """Gives a run its folder, a new one if none is given; a new one that stays empty is removed.

    Raises:
        OSError: it cannot be made.
    """
    folder = given or new_run_folder(name)
    try:
        yield folder
    finally:
        if given is None and not any(folder.iterdir()):
            folder.rmdir()


def with_run_folder(settings: TrainSettings) -> TrainSettings:
    """Makes a run's folder where the settings name none; returns the settings with it.

    Raises:
        OSError: it cannot be made.
    """
    own_output = settings.output_dir == RUN_FOLDER
    own_model = settings.model_dir == RUN_MODEL_FOLDER
    if not (own_output or own_model):
        return settings
    folder = new_run_folder(settings.name)
    return replace(
        settings,
        output_dir=folder if own_output else settings.output_dir,
        model_dir=folder / RUN_MODEL_FOLDER.name if own_model else settings.model_dir,
    )
