"""Frozen parts keep their weights; the other parts are trained."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from training.loop.plans import discriminative_groups
from training.loop.prepared import Prepared
from training.networks.network import TransferNetwork, build_network, freeze, stages
from training.settings import Unfreeze
from training.train import fit

from .conftest import Configure, Watched

STAGES = ["stem", "layer1", "layer2", "layer3", "layer4"]
TRAINED: dict[Unfreeze, list[str]] = {"none": [], "layer4": ["layer4"], "all": STAGES}


@pytest.fixture(scope="module", params=["resnet50", "efficientnet_lite0"])
def network(request: pytest.FixtureRequest) -> TransferNetwork:
    return build_network(request.param, "random", 3)


def test_stages_are_the_whole_backbone(network: TransferNetwork) -> None:
    parts = [parameter for stage in stages(network).values() for parameter in stage.parameters()]

    assert list(stages(network)) == STAGES
    assert {id(part) for part in parts} == {id(part) for part in network.backbone.parameters()}


@pytest.mark.parametrize("unfreeze", TRAINED)
def test_gradients_reach_the_head_and_what_is_unfrozen_and_nothing_else(
    network: TransferNetwork, unfreeze: Unfreeze
) -> None:
    freeze(network, unfreeze)
    network.zero_grad(set_to_none=True)

    network.train()(torch.randn(2, 3, 64, 64)).sum().backward()

    for name, stage in stages(network).items():
        has_gradient = {parameter.grad is not None for parameter in stage.parameters()}
        assert has_gradient == {name in TRAINED[unfreeze]}, name
    assert all(parameter.grad is not None for parameter in network.head.parameters())


@pytest.mark.parametrize("unfreeze", TRAINED)
def test_frozen_batch_norm_keeps_its_statistics(
    network: TransferNetwork, unfreeze: Unfreeze
) -> None:
    freeze(network, unfreeze)
    before = copy.deepcopy(network.state_dict())

    network.train()(torch.randn(2, 3, 64, 64))

    after = network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    of_trained_stages = {
        f"{module}.{buffer}"
        for module, part in network.named_modules()
        if isinstance(part, nn.BatchNorm2d)
        and any(part in stage.modules() for stage in _trained(network, unfreeze))
        for buffer in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert changed == of_trained_stages


def _trained(network: TransferNetwork, unfreeze: Unfreeze) -> list[nn.ModuleList]:
    return [stage for name, stage in stages(network).items() if name in TRAINED[unfreeze]]


def test_head_training_leaves_the_backbone_as_it_was(
    prepared: Prepared, configure: Configure
) -> None:
    before = copy.deepcopy(prepared.network.backbone.state_dict())

    fitted = fit(prepared, configure())

    after = fitted.network.backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_fine_tuning_changes_layer4_and_nothing_before_it(
    prepared: Prepared, configure: Configure
) -> None:
    watched = Watched()

    fit(prepared, configure(unfreeze="layer4", finetune_epochs=1, epochs=1), [watched])

    assert [metrics.phase for metrics in watched.epochs] == ["head", "finetune"]
    for name, stage in stages(prepared.network).items():
        now = stages(watched.network)[name].state_dict()
        same = all(torch.equal(value, now[key]) for key, value in stage.state_dict().items())
        assert same == (name != "layer4"), name


def test_stages_nearer_to_the_image_learn_slower() -> None:
    network = build_network("efficientnet_lite0", "random", 3)
    freeze(network, "all")

    rates = [group["lr"] for group in discriminative_groups(network, 0.001)]

    assert rates == pytest.approx([0.001 / 2.6**depth for depth in range(6)])


@pytest.mark.parametrize("backbone", ["resnet50", "efficientnet_lite0"])
def test_optimizer_of_fine_tuning_holds_each_trained_parameter_once(backbone: str) -> None:
    network = build_network(backbone, "random", 3)
    freeze(network, "layer4")

    held = [
        id(parameter)
        for group in discriminative_groups(network, 0.001)
        for parameter in group["params"]  # type: ignore[attr-defined]
    ]

    assert sorted(held) == sorted(
        id(parameter) for parameter in network.parameters() if parameter.requires_grad
    )
