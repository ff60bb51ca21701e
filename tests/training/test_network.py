"""A backbone with the weights that were asked for, and a head that answers logits."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision.models import ResNet50_Weights, resnet50

from model.build_default import SOURCE_SHA256, source_weights
from model.lite0 import load_lite0
from training.errors import TrainingError
from training.networks.network import Rescale, build_network, image_spec, weights_sha256


def test_network_answers_logits() -> None:
    network = build_network("efficientnet_lite0", "random", 3).eval()
    images = torch.randn(2, 3, 64, 64)
    linear = network.head[-1]
    assert isinstance(linear, nn.Linear)
    with torch.inference_mode():
        before = network(images)
        linear.bias += 7
        after = network(images)

    # Neither a softmax nor a log-softmax would let a common constant through.
    torch.testing.assert_close(after, before + 7)


def test_package_weights_are_the_published_ones() -> None:
    network = build_network("efficientnet_lite0", "package", 3).eval()
    published = load_lite0(source_weights(), SOURCE_SHA256)
    images = torch.randn(2, 3, 224, 224)

    with torch.inference_mode():
        torch.testing.assert_close(
            published.fc(network.backbone(images)), published(images), rtol=1e-4, atol=1e-4
        )


def test_same_seed_gives_the_same_network() -> None:
    first, again, other = (
        build_network("efficientnet_lite0", "random", 3, seed) for seed in (1, 1, 2)
    )

    assert weights_sha256(first) == weights_sha256(again)
    assert weights_sha256(first) != weights_sha256(other)


def test_torchvisions_state_dict_is_read_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(5)
    published = resnet50()
    torch.save(published.state_dict(), tmp_path / "resnet50.pth")

    network = build_network("resnet50", str(tmp_path / "resnet50.pth"), 7)

    published.fc = nn.Identity()
    assert weights_sha256(network.backbone) == weights_sha256(published)
    assert network(torch.randn(2, 3, 64, 64)).shape == (2, 7)


def test_package_file_is_read_as_a_file_too() -> None:
    by_name = build_network("efficientnet_lite0", "package", 3)
    by_path = build_network("efficientnet_lite0", str(source_weights()), 3)

    assert weights_sha256(by_name.backbone) == weights_sha256(by_path.backbone)


def test_checkpoint_of_a_training_can_begin_the_next(tmp_path: Path) -> None:
    before = build_network("efficientnet_lite0", "random", 3, seed=9)
    torch.save(before.state_dict(), tmp_path / "checkpoint.pt")

    after = build_network("efficientnet_lite0", str(tmp_path / "checkpoint.pt"), 5)

    assert weights_sha256(before.backbone) == weights_sha256(after.backbone)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(resnet50().state_dict(), tmp_path / "resnet50.pth")

    with pytest.raises(TrainingError, match="does not hold the weights of efficientnet_lite0"):
        build_network("efficientnet_lite0", str(tmp_path / "resnet50.pth"), 3)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 no zip either"])
def test_file_that_holds_no_weights_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(content)

    with pytest.raises(TrainingError, match="cannot be used as weights"):
        build_network("resnet50", str(tmp_path / "weights.pth"), 3)


def test_misspelt_weights_say_what_there_is() -> None:
    with pytest.raises(TrainingError, match=r"hub, imagenet, package, random, .* or a file"):
        build_network("resnet50", "imagnet", 3)


def test_without_a_network_the_error_says_how_to_get_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(ResNet50_Weights, "get_state_dict", no_network)

    with pytest.raises(TrainingError, match=r"--weights FILE .* channel `weights`"):
        build_network("resnet50", "imagenet", 3)


def test_imagenet_weights_are_torchvisions_second_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    published = resnet50()
    asked = []

    def downloaded(self: ResNet50_Weights, **_: object) -> object:
        asked.append(self)
        return published.state_dict()

    monkeypatch.setattr(ResNet50_Weights, "get_state_dict", downloaded)
    network = build_network("resnet50", "imagenet", 3)

    assert asked == [ResNet50_Weights.IMAGENET1K_V2]
    published.fc = nn.Identity()
    assert weights_sha256(network.backbone) == weights_sha256(published)


def test_spec_of_resnet50_is_torchvisions() -> None:
    transforms = ResNet50_Weights.IMAGENET1K_V2.transforms()
    spec = image_spec("resnet50")

    assert [spec.resize] == transforms.resize_size
    assert [spec.size] == transforms.crop_size
    assert spec.interpolation == transforms.interpolation.value
    assert spec.mean == pytest.approx([255 * value for value in transforms.mean])
    assert spec.std == pytest.approx([255 * value for value in transforms.std])


@pytest.mark.parametrize("scale", [0.01, 1, 100])
def test_head_does_not_mind_the_scale_of_the_features(scale: float) -> None:
    torch.manual_seed(1)
    features = torch.randn(50, 8) + 3
    rescale = Rescale(8)
    rescale.fit([features[:3] * scale, features[3:] * scale])
    lengths = rescale(features * scale).square().sum(dim=1).mean().sqrt()

    assert lengths.item() == pytest.approx(10, rel=1e-3)


def test_features_that_are_all_the_same_stay_finite() -> None:
    rescale = Rescale(4)
    rescale.fit([torch.ones(5, 4)])

    assert torch.equal(rescale(torch.ones(5, 4)), torch.zeros(5, 4))
