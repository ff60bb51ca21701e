"""The observers that a training's settings switch on."""

from __future__ import annotations

from training.settings import TrainSettings
from training.watch import observations, profile
from training.watch.monitor import Monitor
from training.watch.observer import TrainingObserver
from training.watch.profile import Preparation
from training.watch.profiler import Profiler


def inspectors(
    settings: TrainSettings, preparation: Preparation | None = None
) -> list[TrainingObserver]:
    """Makes the monitor and the profiler, where switched on; they write to `settings.output_dir`.

    The profiler comes first, so that it does not count the monitor's time as the evaluation's.

    Args:
        preparation: the time before the training by activity, for the profile.
    """
    watching: list[TrainingObserver] = []
    if settings.profile:
        watching.append(Profiler(settings.output_dir / profile.FILE_NAME, preparation))
    if settings.monitor_interval:
        watching.append(
            Monitor(settings.monitor_interval, settings.output_dir / observations.FILE_NAME)
        )
    return watching
