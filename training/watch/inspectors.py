"""The observers that a training's settings ask for."""

from __future__ import annotations

from training.settings import TrainSettings
from training.watch import observations, profile
from training.watch.monitor import Monitor
from training.watch.observer import TrainingObserver
from training.watch.profiler import Profiler


def inspectors(settings: TrainSettings) -> list[TrainingObserver]:
    """They write into `settings.output_dir`; none when the settings ask for none.

    The profiler comes first, so that the monitor's time is not taken for the evaluation's.
    """
    watching: list[TrainingObserver] = []
    if settings.profile:
        watching.append(Profiler(settings.output_dir / profile.FILE_NAME))
    if settings.monitor_interval:
        watching.append(
            Monitor(settings.monitor_interval, settings.output_dir / observations.FILE_NAME)
        )
    return watching
