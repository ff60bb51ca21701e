"""An interrupted training continues where it stopped, and ends like an uninterrupted one."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from training.errors import TrainingError
from training.loop.prepared import Prepared, prepare
from training.train import Fitted, fit, train
from training.watch.observer import EpochMetrics, TrainingObserver

from .conftest import Configure, short_training
from .copies import as_program, copied

EPOCHS = {"head": 2, "finetune": 3}


class InterruptionError(Exception):
    """Raised by a test to interrupt a training."""


class Interrupt(TrainingObserver):
    """Ends the training unexpectedly after a number of epochs."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.epochs = 0

    def on_epoch(self, metrics: EpochMetrics) -> None:
        self.epochs += 1
        if self.epochs == self.after:
            raise InterruptionError


# Of a small network: its steps count, not what it learns.
TWO_PHASES = {
    "backbone": "timm/test_resnet",
    "weights": "random",
    "epochs": EPOCHS["head"],
    "unfreeze": "layer4",
    "finetune_epochs": EPOCHS["finetune"],
}


@pytest.fixture(scope="module")
def whole(photos: Path, feature_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """The training without an interruption."""
    folder = tmp_path_factory.mktemp("whole")
    settings = short_training(photos, feature_cache, folder, **TWO_PHASES)
    return fit(prepare(settings), settings)


# In the first phase, between the two, in the second.
@pytest.mark.parametrize("after", [1, 2, 4])
def test_continued_training_is_the_one_that_was_never_interrupted(
    after: int, whole: Fitted, configure: Configure, tmp_path: Path
) -> None:
    settings = configure(**TWO_PHASES, checkpoint_dir=tmp_path / "checkpoints")
    prepared = prepare(settings)
    with pytest.raises(InterruptionError):
        fit(prepared, settings, [Interrupt(after)])
    rest = Interrupt(after=99)

    continued = fit(prepared, settings, [rest])

    assert rest.epochs == sum(EPOCHS.values()) - after
    losses = [[each.train_loss for each in fitted.history] for fitted in (whole, continued)]
    assert losses[0] == losses[1]
    expected = whole.network.state_dict()
    assert all(
        torch.equal(value, expected[name]) for name, value in continued.network.state_dict().items()
    )


def test_killed_job_continues_and_exports(configure: Configure, tmp_path: Path) -> None:
    settings = configure(**TWO_PHASES, checkpoint_dir=tmp_path / "checkpoints")
    arguments = [
        argument
        for name, value in settings.to_json().items()
        if value is not None
        for argument in (f"--{name.replace('_', '-')}", str(value))
    ]
    killed_after = 0
    with copied(as_program, "training.train", arguments) as (job, printed):
        for line in printed:
            killed_after += line.startswith("metrics epoch=")
            if killed_after == 3:
                job.kill()
                break
        job.join(timeout=60)
        assert job.exitcode == -signal.SIGKILL
    assert not settings.model_dir.exists()
    watched = Interrupt(after=99)

    result = train(settings, [watched])

    # The line of an epoch is printed after its checkpoint is written, so that those are safe; the
    # kill may come an epoch later.
    assert watched.epochs <= sum(EPOCHS.values()) - 3
    assert [each.epoch for each in result.history] == [1, 2, 3, 4, 5]
    record = json.loads((settings.output_dir / "training.json").read_text())
    assert [each["epoch"] for each in record["history"]] == [1, 2, 3, 4, 5]


def test_finished_folds_are_not_run_again(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    whole = fit(prepared, configure(folds=2))
    settings = configure(folds=2, checkpoint_dir=tmp_path / "checkpoints")
    with pytest.raises(InterruptionError):
        fit(prepared, settings, [Interrupt(1)])

    continued = fit(prepared, settings)

    assert [fold.valid_loss for fold in continued.folds] == [
        fold.valid_loss for fold in whole.folds
    ]
    saved = torch.load(tmp_path / "checkpoints" / "training.pt", weights_only=True)
    assert [fold["metrics"]["seconds"] for fold in saved["folds"]] == [
        fold.seconds for fold in continued.folds
    ]
    assert whole.answers is not None
    assert continued.answers is not None
    assert np.array_equal(continued.answers.logits, whole.answers.logits)


def test_split_stays_where_another_machine_finds_other_photos_alike(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    settings = configure(epochs=3, checkpoint_dir=tmp_path / "checkpoints")
    pairs = tuple(row - row % 2 for row in range(len(prepared.images)))
    whole = fit(replace(prepared, first_alike=pairs), replace(settings, checkpoint_dir=None))
    with pytest.raises(InterruptionError):
        fit(replace(prepared, first_alike=pairs), settings, [Interrupt(after=1)])

    continued = fit(prepared, settings)

    assert fit(prepared, replace(settings, checkpoint_dir=None)).partition != whole.partition
    assert continued.partition == whole.partition
    assert continued.metrics.valid_loss == whole.metrics.valid_loss


def test_checkpoint_of_photos_that_cannot_all_be_read_here_is_refused(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    settings = configure(epochs=2, checkpoint_dir=tmp_path / "checkpoints")
    fit(prepared, settings)
    with pytest.raises(TrainingError, match="was made with 30 photos; here 29"):
        fit(replace(prepared, first_alike=prepared.first_alike[:-1]), settings)


def test_checkpoint_of_other_settings_is_refused(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    fit(prepared, configure(checkpoint_dir=tmp_path))

    with pytest.raises(TrainingError, match="other data or settings"):
        fit(prepared, configure(checkpoint_dir=tmp_path, lr=0.02))


def test_damaged_checkpoint_says_what_to_do(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    fit(prepared, configure(checkpoint_dir=tmp_path))
    file = tmp_path / "training.pt"
    file.write_bytes(file.read_bytes()[:500])

    with pytest.raises(TrainingError, match=r"damaged.*Remove"):
        fit(prepared, configure(checkpoint_dir=tmp_path))


def test_job_elsewhere_on_the_machine_continues_all_the_same(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "checkpoints"
    fit(prepared, configure(checkpoint_dir=checkpoints))
    again = Interrupt(after=99)

    moved = configure(
        checkpoint_dir=checkpoints, output_dir=tmp_path / "x", model_dir=tmp_path / "y"
    )
    fit(prepared, moved, [again])

    assert again.epochs == 0
