"""Two processes train as one does: the same weights and figures, written once."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.metric_lines import read_metric
from training import parallel
from training.errors import TrainingError
from training.loop.checkpoint import FILE_NAME
from training.loop.prepared import prepare
from training.settings import TrainSettings
from training.train import fit, take_part

from .conftest import Configure
from .copies import as_program, by_torchrun, copied

# Of 24 photos the last batch has one, so that one of the two processes has none.
SETTINGS: dict[str, Any] = {
    "backbone": "timm/test_resnet",
    "weights": "random",
    "epochs": 1,
    "unfreeze": "layer4",
    "finetune_epochs": 2,
    "batch_size": 23,
    "class_weights": True,
    "label_smoothing": 0.1,
}


def train_by_two(settings: TrainSettings) -> str:
    """Returns what the command printed."""
    options = {
        name.replace("_", "-"): value
        for name, value in SETTINGS.items()
        if not isinstance(value, bool)
    }
    folders = ("data", "feature_cache", "model_dir", "output_dir", "checkpoint_dir")
    options |= {name.replace("_", "-"): getattr(settings, name) for name in folders}
    command = [
        "--class-weights",
        *(word for name, value in options.items() for word in (f"--{name}", str(value))),
    ]
    with copied(by_torchrun, 2, as_program, "training.train", command) as (launcher, output):
        printed = output.read()
        launcher.join()
    assert launcher.exitcode == 0
    return printed


def weights(folder: Path | None) -> dict[str, torch.Tensor]:
    assert folder is not None
    saved = torch.load(folder / FILE_NAME, weights_only=True)
    return dict(saved["weights"])


def test_two_processes_train_the_network_that_one_trains(
    configure: Configure, tmp_path: Path
) -> None:
    alone = configure(checkpoint_dir=tmp_path / "alone", **SETTINGS)
    expected = fit(prepare(alone), alone)
    together = configure(checkpoint_dir=tmp_path / "together", **SETTINGS)
    printed = train_by_two(together)

    lines = [line for line in printed.splitlines() if "valid_loss" in line]
    assert len(lines) == len(expected.history)  # only the first process prints
    for line, metrics in zip(lines, expected.history, strict=True):
        assert read_metric(line, "valid_loss") == pytest.approx(metrics.valid_loss, abs=2e-4)
        assert read_metric(line, "train_loss") == pytest.approx(metrics.train_loss, abs=2e-4)
    one, two = weights(alone.checkpoint_dir), weights(together.checkpoint_dir)
    assert one.keys() == two.keys()
    start = prepare(alone).network.state_dict()
    trained = [name for name in one if not torch.equal(one[name], start[name])]
    assert "backbone.layer4.0.bn1.running_var" in trained
    # AdamW's first steps have the size of the rate, whatever the gradient's. Where the gradient is
    # zero but for rounding, as of a bias before another BatchNorm, the order of sums decides its
    # sign: so the median tensor is compared, not each.
    ratios = [
        float((two[name] - one[name]).double().norm() / (one[name] - start[name]).double().norm())
        for name in trained
    ]
    assert statistics.median(ratios) < 0.02, ratios
    for name in one:
        if name.endswith("running_var") or name.endswith("running_mean"):
            torch.testing.assert_close(two[name], one[name], atol=1e-4, rtol=1e-3)
        elif name not in trained:
            assert torch.equal(one[name], two[name]), name


def test_failure_of_a_process_that_is_not_the_first_is_written_where_sagemaker_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("SM_OUTPUT_DIR", str(tmp_path / "output"))
    with pytest.raises(TrainingError):
        take_part(TrainSettings(data=tmp_path / "data"))
    assert "holds 0 classes" in (tmp_path / "output" / "failure").read_text()


def test_a_process_alone_has_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not parallel.started_together()
    with parallel.joined():
        assert (parallel.count(), parallel.is_first()) == (1, True)
        assert parallel.part_of([1, 2, 3]) == [1, 2, 3]
