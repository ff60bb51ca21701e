"""The observers that a training's settings switch on."""

from __future__ import annotations

from training.settings import TrainSettings
from training.watch import observations, profile
from training.watch.monitor import Monitor
from training.watch.observer import TrainingObserver
from training.watch.profiler import Profiler


def inspectors(settings: TrainSettings) -> list[TrainingObserver]:
    """Makes the monitor and the profiler, where switched on; they write to `settings.output_dir`.

    The profiler comes first, so that it does not count the monitor's time as the evaluation's.
    """
    watching: list[TrainingObserver] = []
    if settings.profile:
        watching.append(Profiler(settings.output_dir / profile.FILE_NAME))
    if settings.monitor_interval:
        watching.append(
            Monitor(settings.monitor_interval, settings.output_dir / observations.FILE_NAME)
        )
    return watching
