"""Backbones of torchvision and timm by name: their weights, their preparation, their export."""

from __future__ import annotations

import hashlib
import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config
from torch import nn
from torchvision import models  # type: ignore[import-untyped]
from torchvision.transforms import functional

from archive.card import read_model_card
from imaging import ImageSpec, Prepared, prepare
from model.export import ServedModel
from model.serving.class_activation import ClassActivation, NoActivationError
from model.serving.onnx_model import OnnxModel
from training.data.dataset import DataSet, load_pixels
from training.errors import TrainingError
from training.export import exporting
from training.export.exporting import CHECKPOINT_NAME
from training.networks import backbones
from training.networks.network import build_network, freeze, image_spec, stages, weights_sha256
from training.train import train

from .conftest import Configure
from .test_trained_model import ask

# The smallest of each kind of head and body.
WITH_MAP = ["timm/test_resnet", "squeezenet1_1"]
WITHOUT_MAP = ["timm/test_vit", "mobilenet_v3_small"]


def photo(width: int, height: int) -> bytes:
    """A PNG of noise that was enlarged, so that a resize has something to smooth."""
    noise = np.random.default_rng(width).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).resize((width, height)).save(file, "PNG")
    return file.getvalue()


def pixels_of(data: bytes, spec: ImageSpec) -> np.ndarray[Any, np.dtype[np.uint8]]:
    outcome = prepare(data, spec)
    assert isinstance(outcome, Prepared)
    return np.frombuffer(outcome.pixels, np.uint8).reshape(spec.size, spec.size, 3)


@pytest.mark.parametrize("backbone", [*WITH_MAP, *WITHOUT_MAP])
def test_trained_backbone_answers_when_served_as_in_torch(
    backbone: str, configure: Configure
) -> None:
    settings = configure(backbone=backbone, weights="random", epochs=2)
    result = train(settings)

    card = read_model_card(result.model_dir / "model.json")
    assert card.image_spec == image_spec(backbone)
    assert card.training_run["architecture"] == backbone
    network = build_network(backbone, "random", len(card.labels))
    network.load_state_dict(torch.load(settings.output_dir / CHECKPOINT_NAME, weights_only=True))
    file = DataSet.scan(settings.data).images[0]
    pixels = load_pixels(file, card.image_spec)
    assert isinstance(pixels, np.ndarray)
    with torch.inference_mode():
        (expected,) = ServedModel(network, card.image_spec).eval()(torch.tensor(pixels[None]))
    # Through the serving code of the archive: the endpoint prepares the file by the card.
    found = ask(result.model_dir, file.path.read_bytes())
    served = {each["label"]: each["confidence"] for each in found["predictions"]}  # type: ignore[attr-defined]
    for label, probability in zip(card.labels, expected[0].tolist(), strict=True):
        assert served[label] == pytest.approx(probability, abs=1e-4)
    _check_map(backbone, result.model_dir / "model.onnx", pixels)


def _check_map(backbone: str, weights: Path, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    """A head on pooled features shows where it looked; another says that there is no map."""
    if backbone in WITHOUT_MAP:
        with pytest.raises(NoActivationError):
            ClassActivation(weights, len(pixels))
        return
    activation = ClassActivation(weights, len(pixels))
    probabilities = OnnxModel(weights).run(pixels[None]).probabilities[0]
    maps = [activation.of(pixels[None], place) for place in range(len(probabilities))]
    logits = np.array([each.positions.mean() + each.bias for each in maps])
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    np.testing.assert_allclose(shares, probabilities, atol=1e-4)


@pytest.mark.parametrize(
    "backbone",
    ["efficientnet_b0", "efficientnet_v2_s", "convnext_tiny", "swin_v2_t", "inception_v3"],
)
def test_preparation_is_that_of_torchvisions_weights(backbone: str) -> None:
    preset = models.get_model_weights(backbone).DEFAULT.transforms()
    data = photo(640, 400)
    image = Image.open(BytesIO(data))
    resized = functional.resize(image, preset.resize_size, preset.interpolation)
    expected = functional.center_crop(resized, preset.crop_size)

    spec = image_spec(backbone)

    assert np.array_equal(pixels_of(data, spec), np.asarray(expected))
    assert spec.mean == pytest.approx([255 * level for level in preset.mean])
    assert spec.std == pytest.approx([255 * level for level in preset.std])


@pytest.mark.parametrize(
    "name", ["test_vit", "resnet18.a1_in1k", "tf_efficientnet_b0", "vit_base_patch16_clip_224"]
)
def test_preparation_is_that_of_timms_data_configuration(name: str) -> None:
    configuration = resolve_data_config({}, timm.get_pretrained_cfg(name).to_dict())
    transform = create_transform(**configuration, normalize=False)
    data = photo(480, 700)

    spec = image_spec(f"timm/{name}")

    expected = np.asarray(transform(Image.open(BytesIO(data)))).transpose(1, 2, 0)
    assert np.array_equal(pixels_of(data, spec), expected)
    assert spec.mean == pytest.approx([255 * level for level in configuration["mean"]])


@pytest.mark.parametrize(
    ("backbone", "why"),
    [
        ("timm/dm_nfnet_f0", "squash"),
        ("timm/deepseek_vit_412m", "border"),
        ("timm/volo_d4_448", "resize 389 is below size 448"),
    ],
)
def test_preparation_that_we_cannot_do_is_refused_by_name(backbone: str, why: str) -> None:
    with pytest.raises(TrainingError, match=f"preparation of {backbone} .*({why})"):
        image_spec(backbone)


@pytest.mark.parametrize(
    ("backbone", "hint"),
    [
        ("convnext_tinny", "convnext_tiny"),
        ("timm/resnet_18", "timm/resnet18"),
        ("timm/resnet18.nothing", "timm/resnet18.a1_in1k"),
        ("fcn_resnet50", "list_models"),
    ],
)
def test_unknown_name_says_what_there_is(backbone: str, hint: str) -> None:
    with pytest.raises(TrainingError, match=hint):
        build_network(backbone, "random", 3)


def test_without_timm_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(TrainingError, match=r"timm, which is not installed.*make train-setup"):
        build_network("timm/test_resnet", "random", 3)
    assert build_network("efficientnet_lite0", "random", 3).features == 1280


def test_backbone_too_large_for_an_archive_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backbones, "LARGEST_BACKBONE_BYTES", 2 * 1024 * 1024)

    with pytest.raises(TrainingError, match=r"mobilenet_v3_small has 6 MB .* at most 2 MB"):
        build_network("mobilenet_v3_small", "random", 3)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("backbone", ["squeezenet1_1", "mobilenet_v3_small", "timm/test_vit"])
def test_published_weights_are_read_from_a_file(backbone: str, suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(4)
    name = backbone.removeprefix("timm/")
    published = (
        timm.create_model(name) if "timm/" in backbone else models.get_model(name, weights=None)
    )
    file = tmp_path / f"weights{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save(published.state_dict(), file)

    network = build_network(backbone, str(file), 7).eval()

    state = published.state_dict()
    loaded = network.backbone.state_dict()
    assert loaded
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.items())
    size = image_spec(backbone).size
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_checkpoint_of_a_timm_training_begins_the_next(tmp_path: Path) -> None:
    before = build_network("timm/test_resnet", "random", 3, seed=9)
    torch.save(before.state_dict(), tmp_path / "checkpoint.pt")

    after = build_network("timm/test_resnet", str(tmp_path / "checkpoint.pt"), 5)

    assert weights_sha256(before.backbone) == weights_sha256(after.backbone)


def test_weights_of_another_backbone_are_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "other.safetensors")

    with pytest.raises(TrainingError, match="does not hold the weights of timm/test_vit"):
        build_network("timm/test_vit", str(tmp_path / "other.safetensors"), 3)
    (tmp_path / "none.safetensors").write_bytes(b"no weights")
    with pytest.raises(TrainingError, match="cannot be used as weights"):
        build_network("timm/test_vit", str(tmp_path / "none.safetensors"), 3)


def test_named_weights_of_torchvision_bring_their_own_preparation() -> None:
    assert image_spec("vit_b_16").size == 224
    assert image_spec("vit_b_16", "IMAGENET1K_SWAG_E2E_V1").size == 384
    assert image_spec("resnet50", "IMAGENET1K_V1").resize == 256


def test_file_that_torchvision_published_is_known_by_its_hash_and_brings_its_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "renamed.pth"
    file.write_bytes(b"published weights")
    digest = hashlib.sha256(b"published weights").hexdigest()
    assert image_spec("resnet50", str(file)).resize == 232  # the default's

    published = models.ResNet50_Weights.IMAGENET1K_V1.value
    monkeypatch.setattr(published, "url", f"https://pytorch.test/resnet50-{digest[:8]}.pth")

    assert image_spec("resnet50", str(file)).resize == 256


def test_file_of_timm_is_prepared_for_as_the_hubs_configuration_beside_it_says(
    tmp_path: Path,
) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    before = image_spec("timm/test_resnet", str(file))
    own = {"input_size": [3, 96, 96], "crop_pct": 1.0, "mean": [0.1, 0.2, 0.3]}
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": own}))

    spec = image_spec("timm/test_resnet", str(file))

    assert (before.size, spec.size, spec.resize) == (160, 96, 96)
    assert spec.mean == pytest.approx((25.5, 51, 76.5))
    assert spec.std == before.std
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(TrainingError, match="not the configuration of the hub"):
        image_spec("timm/test_resnet", str(file))


def test_hub_weights_of_timm_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    make = timm.create_model

    def create(name: str, pretrained: bool = False, **given: object) -> nn.Module:
        asked.append((name, pretrained))
        torch.manual_seed(77 if pretrained else 1)
        return make(name, pretrained=False, **given)

    monkeypatch.setattr(timm, "create_model", create)
    network = build_network("timm/test_resnet.r160_in1k", "hub", 3)

    assert ("test_resnet.r160_in1k", True) in asked
    torch.manual_seed(77)
    assert weights_sha256(network.backbone) == weights_sha256(make("test_resnet", num_classes=0))


def test_without_a_network_timm_says_how_to_give_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, pretrained: bool = False, **given: object) -> nn.Module:
        if pretrained:
            raise OSError("Name or service not known")
        return make("test_resnet", **given)

    make = timm.create_model
    monkeypatch.setattr(timm, "create_model", offline)

    with pytest.raises(TrainingError, match=r"could not download .*--weights FILE"):
        build_network("timm/test_resnet", "hub", 3)


@pytest.mark.parametrize(
    "backbone", ["timm/test_vit", "timm/test_convnext", "mobilenet_v3_small", "vit_b_32"]
)
def test_stages_of_other_backbones_are_the_whole_and_layer4_is_the_end(backbone: str) -> None:
    network = build_network(backbone, "random", 3)
    parts = stages(network)

    held = [parameter for stage in parts.values() for parameter in stage.parameters()]
    assert len({id(each) for each in held}) == len(held)
    assert {id(each) for each in held} == {id(each) for each in network.backbone.parameters()}
    freeze(network, "layer4")
    trained = [each for each in network.backbone.parameters() if each.requires_grad]
    assert 0 < len(trained) < len(held)
    assert {id(each) for each in trained} == {id(each) for each in parts["layer4"].parameters()}
    # What the image meets first is not among them.
    assert not next(iter(network.backbone.parameters())).requires_grad


def test_fine_tuned_backbone_is_exported(configure: Configure) -> None:
    settings = configure(
        backbone="timm/test_resnet",
        weights="random",
        epochs=1,
        unfreeze="layer4",
        finetune_epochs=1,
    )
    result = train(settings)

    record = json.loads((settings.output_dir / "training.json").read_text())
    assert [each["phase"] for each in record["history"]] == ["head", "finetune"]
    assert (result.model_dir / "model.onnx").exists()


def test_backbone_that_onnx_cannot_hold_is_named(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise torch.onnx.OnnxExporterError("no such operator")

    monkeypatch.setattr(exporting, "export_onnx", refuse)
    settings = configure(backbone="timm/test_resnet", weights="random", epochs=1)

    with pytest.raises(TrainingError, match=r"timm/test_resnet cannot be exported .*operator"):
        train(settings)
    assert not settings.model_dir.exists()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in models.list_models(module=models)
        if models.get_model_weights(name).DEFAULT.meta["num_params"] < 12e6
    ],
)
def test_every_small_backbone_of_torchvision_answers_features(name: str) -> None:
    network = build_network(name, "random", 3).eval()
    spec = image_spec(name)

    with torch.inference_mode():
        features = network.backbone(torch.zeros(1, 3, spec.size, spec.size))

    assert features.shape == (1, network.features)
    assert len(stages(network)["layer4"])
