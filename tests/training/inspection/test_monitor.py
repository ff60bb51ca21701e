"""The monitor records the true values, and recording changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import resnet18  # type: ignore[import-untyped]

from model.lite0 import EfficientNetLite0
from training.errors import TrainingError
from training.loop.prepared import Prepared, prepare
from training.settings import TrainSettings
from training.train import fit
from training.watch.monitor import Monitor, parameter_statistics, percentiles
from training.watch.observations import Cost, Epoch, read_observations, to_line
from training.watch.observer import EpochMetrics
from training.watch.relu_inputs import ReluInputs, summary, thinned

from .networks import healthy, watched

Configure = Callable[..., TrainSettings]


def test_every_intervalth_step_is_looked_at_and_every_loss_kept(tmp_path: Path) -> None:
    seen = watched(healthy(), tmp_path, steps=20, interval=8)

    assert [sample.step for sample in seen.samples] == [0, 8, 16]
    assert len(seen.losses("finetune")) == 20
    assert seen.samples[1].loss == seen.losses("finetune")[8]
    assert seen.cost is not None
    assert (seen.cost.interval, seen.cost.samples, seen.cost.steps) == (8, 3, 20)


def test_statistics_are_those_of_the_tensors() -> None:
    network = nn.Sequential(nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    network[0].weight.grad = torch.tensor([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0]])

    before = {"0.weight": network[0].weight.detach() - 2.0}
    gradients, weights = parameter_statistics(network, before)

    assert gradients["0.weight"].norm == 5.0
    assert gradients["0.weight"].mean_abs == pytest.approx(7 / 6)
    assert (gradients["0.weight"].p5, gradients["0.weight"].p95) == (-4.0, 3.0)
    assert weights["0.weight"].mean == 3.5
    assert weights["0.weight"].variance == pytest.approx(35 / 12)
    assert weights["0.weight"].norm == pytest.approx(91**0.5)
    assert gradients["0.weight"].zeros == pytest.approx(4 / 6)
    assert weights["0.weight"].zeros == 0
    assert weights["0.weight"].norm_before == pytest.approx(31**0.5)
    assert weights["0.weight"].update_norm == pytest.approx(24**0.5)
    assert weights["0.weight"].change == pytest.approx(2.0 / 1e-8, rel=1e-3)


def test_percentiles_of_large_tensors_are_close() -> None:
    values = torch.randn(1000, 1000, generator=torch.Generator().manual_seed(1))

    p5, p95 = percentiles(values)

    assert float(p5) == pytest.approx(-1.645, abs=0.15)
    assert float(p95) == pytest.approx(1.645, abs=0.15)


def test_summary_counts_channels_that_pass_nothing_on() -> None:
    inputs = torch.full((4, 3, 10, 10), -1.0)
    inputs[:, 0] = 1.0
    inputs[:, 1, 0, :2] = 1.0  # 2 % of its places

    mean, variance, dead = summary(inputs).tolist()

    assert mean == pytest.approx(inputs.mean().item())
    assert variance == pytest.approx(inputs.var(correction=0).item())
    assert dead == pytest.approx(1 / 3)


def test_thinning_bounds_what_is_looked_at() -> None:
    assert thinned(torch.zeros(32, 5, 112, 112), 8).shape == (8, 5, 8, 8)
    assert thinned(torch.zeros(32, 5, 7, 7), 8).shape == (8, 5, 7, 7)
    assert thinned(torch.zeros(4, 5), 8).shape == (4, 5)


@pytest.mark.parametrize(
    ("build", "count"),
    [
        # Modules, some of them called several times a pass and overwriting their input.
        (resnet18, 17),
        # Functions: 33 calls of relu6, no module.
        (EfficientNetLite0, 33),
    ],
)
def test_all_rectifiers_are_seen_and_the_answer_stays_the_same(
    build: Callable[[], nn.Module], count: int
) -> None:
    torch.manual_seed(1)
    network = build().eval()
    images = torch.randn(2, 3, 64, 64)
    expected = network(images)

    with ReluInputs(network, images=2) as relus:
        answer = network(images)

    assert torch.equal(answer, expected)
    assert len(relus.statistics) == count
    assert all("relu_input_" in name for name in relus.statistics)
    assert not any(module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("function", "level", "share"),
    [
        (nn.Tanh(), 9.4, 0.0),
        (nn.Tanh(), -9.6, 1.0),
        (nn.Sigmoid(), 16.9, 0.0),
        (nn.Sigmoid(), 17.1, 1.0),
    ],
)
def test_saturated_channels_are_counted(function: nn.Module, level: float, share: float) -> None:
    network = nn.Sequential(function)

    with ReluInputs(network, images=2) as relus:
        network(torch.full((2, 3), level))

    assert [each.item() for each in relus.saturated.values()] == [share]


def test_input_is_seen_before_the_rectifier_overwrites_it() -> None:
    network = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))

    with ReluInputs(network, images=2) as relus:
        network(torch.full((2, 3), -5.0))

    assert relus.statistics["1.relu_input_0"].tolist() == [-5.0, 0.0, 1.0]


def test_watched_training_ends_with_the_very_same_weights(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    settings = configure(epochs=2, unfreeze="layer4", finetune_epochs=1)
    monitor = Monitor(1, tmp_path / "monitor.jsonl")

    plain, seen = fit(prepared, settings), fit(prepared, settings, [monitor])

    for (name, one), (_, other) in zip(
        plain.network.state_dict().items(), seen.network.state_dict().items(), strict=True
    ):
        assert torch.equal(one, other), name
    assert not seen.network._forward_hooks


def test_phases_are_told_apart_and_the_frozen_backbone_is_counted(
    prepared: Prepared, configure: Configure, tmp_path: Path
) -> None:
    settings = configure(epochs=2, unfreeze="layer4", finetune_epochs=1)
    fit(prepared, settings, [Monitor(2, tmp_path / "monitor.jsonl")])

    seen = read_observations(tmp_path / "monitor.jsonl")

    head, finetune = seen.phases
    assert (head.phase, finetune.phase) == ("head", "finetune")
    assert head.trained == ("head.2.weight", "head.2.bias")
    assert head.frozen_values > 3_000_000
    assert finetune.frozen_values < head.frozen_values
    first = {sample.phase: sample for sample in reversed(seen.samples)}
    assert set(first["head"].gradients) == set(head.trained)
    assert first["head"].relu_inputs == {}
    assert set(first["finetune"].gradients) == set(finetune.trained)
    assert len(first["finetune"].relu_inputs) == 33


def test_train_writes_what_its_settings_ask_for(configure: Configure) -> None:
    from training.watch.inspectors import inspectors  # noqa: PLC0415

    assert inspectors(configure()) == []
    settings = configure(monitor_interval=5, profile=True)
    fit(prepare(settings), settings, inspectors(settings))
    files = {file.name for file in settings.output_dir.iterdir()}
    assert {"monitor.jsonl", "profile.json"} <= files


def test_numbers_that_are_not_finite_survive_the_file(tmp_path: Path) -> None:
    metrics = EpochMetrics(1, "head", float("nan"), float("inf"), None, None, 1.0)
    line = to_line(Epoch(metrics, (1.0, float("nan"), float("-inf"))))
    (tmp_path / "monitor.jsonl").write_text(f"{line}\n")

    (epoch,) = read_observations(tmp_path / "monitor.jsonl").epochs

    json.loads(line, parse_constant=pytest.fail)  # nothing but what JSON has
    assert str(epoch.losses) == "(1.0, nan, -inf)"
    assert str((epoch.metrics.train_loss, epoch.metrics.valid_loss)) == "(nan, inf)"


@pytest.mark.parametrize("content", [None, "not json\n", '{"kind": "other"}\n', "{}\n"])
def test_a_file_that_is_not_the_monitors_is_reported(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "monitor.jsonl"
    if content is not None:
        file.write_text(content)

    with pytest.raises(TrainingError, match="imagedrop inspect"):
        read_observations(file)


def test_share_is_of_the_training_without_the_monitor() -> None:
    assert Cost(50, 2, 100, seconds=3.0, training_seconds=100.0).share == 0.03
