"""The files of a training: a model that is served as it was trained, and its records."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytest_socket import disable_socket, enable_socket

from archive.card import read_model_card
from archive.reading import extract_archive
from model.export import ServedModel
from model.package import package, texts_in
from model.serving.class_activation import ClassActivation
from model.serving.classifier import Classifier
from model.serving.onnx_model import OnnxModel
from training.data.dataset import DataSet, file_sha256, load_pixels
from training.data.learned_photos import read_learned
from training.data.partition import Partition
from training.errors import TrainingError
from training.export import exporting
from training.export.exporting import Trained
from training.export.gate import gate_of
from training.loop.prepared import Prepared, prepare
from training.settings import TrainSettings
from training.statistics.out_of_fold import read_out_of_fold
from training.train import fit, train
from training.watch.observer import EpochMetrics

from .conftest import (
    COLOURS,
    IMAGES_A_CLASS,
    LABELS,
    Configure,
    draw,
    draw_folder,
    short_training,
)


@pytest.fixture(scope="module")
def trained(
    photos: Path, feature_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainSettings, Trained]:
    """A training with EfficientNet-Lite0, once for this file."""
    folder = tmp_path_factory.mktemp("trained")
    settings = short_training(photos, feature_cache, folder, epochs=5, name="colours", version="3")
    return settings, train(settings)


def answer(model_dir: Path, label: str, file_format: str) -> dict[str, object]:
    """Returns the serving code's answer to one photo, without a socket."""
    body = BytesIO()
    draw(COLOURS[label], seed=99).save(body, file_format)
    return ask(model_dir, body.getvalue())


def ask(model_dir: Path, photo: bytes) -> dict[str, object]:
    disable_socket(allow_unix_socket=True)
    try:
        with closing(Classifier.load(model_dir, cores=1)) as classifier:
            (found,) = json.loads(asyncio.run(classifier.classify_image(photo)))
    finally:
        enable_socket()
    return dict(found)


def test_model_of_enough_photos_refuses_what_looks_like_none_of_them(tmp_path: Path) -> None:
    many = draw_folder(tmp_path / "photos", 18)
    settings = short_training(many, tmp_path / "features", tmp_path, epochs=1)
    result = train(settings)

    card = read_model_card(result.model_dir / "model.json")
    found = ask(result.model_dir, chessboard())

    assert card.gate is not None
    assert card.gate.label == found["label"] == "unknown"
    assert len(found["predictions"]) == 3  # type: ignore[arg-type]
    assert card.metrics["gate"]["photos"] == 54  # type: ignore[index]
    assert answer(result.model_dir, "sky", "PNG")["label"] == "sky"


def chessboard() -> bytes:
    """A picture unlike any training photo."""
    board = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((16, 16))) * 255
    body = BytesIO()
    Image.fromarray(board.astype(np.uint8)).save(body, "PNG")
    return body.getvalue()


def test_finetuned_model_compares_photos_with_the_features_from_before_its_finetuning(
    tmp_path: Path,
) -> None:
    """Those features recognise familiar photos exactly as in the model that was not fine-tuned."""
    many = draw_folder(tmp_path / "photos", 18)
    frozen = short_training(
        many,
        tmp_path / "features",
        tmp_path,
        # With folds the last epoch is kept, better or not.
        **{"backbone": "timm/test_resnet", "weights": "random", "epochs": 1, "folds": 2},
    )
    tuned = replace(
        frozen, unfreeze="layer4", finetune_epochs=1, finetune_lr=1e-3, model_dir=tmp_path / "tuned"
    )
    folders = [train(settings).model_dir for settings in (frozen, tuned)]

    cards = [read_model_card(folder / "model.json") for folder in folders]
    photos = DataSet.scan(many).images[::5]
    images = np.stack([np.asarray(load_pixels(each, cards[0].image_spec)) for each in photos])
    before, after = (OnnxModel(folder / "model.onnx").run(images) for folder in folders)
    assert not np.allclose(before.probabilities, after.probabilities, atol=1e-3)
    assert after.known == pytest.approx(before.known, abs=1e-5)
    assert np.unique(before.known).size > 2  # type: ignore[arg-type]
    assert cards[1].gate == cards[0].gate
    gate = cards[1].metrics["gate"]
    assert isinstance(gate, dict)
    assert (gate["photos"], gate["features"]) == (54, "before fine-tuning")
    assert gate | {"features": "the classifier's own"} == cards[0].metrics["gate"]
    # The layers before the last stage are not there twice.
    sizes = [(folder / "model.onnx").stat().st_size for folder in folders]
    assert sizes[0] < sizes[1] < 1.9 * sizes[0]
    assert ClassActivation(folders[1] / "model.onnx", 160).of(images[:1], 0).positions.size


def test_gate_of_a_frozen_model_costs_no_second_backbone(
    trained: tuple[TrainSettings, Trained], prepared: Prepared
) -> None:
    settings, _ = trained
    rows = tuple(range(30))
    gate = gate_of(prepared, prepared.network, Partition(rows * 2, ()), settings)
    assert gate is not None
    assert not gate.before_finetuning


def test_a_backbone_that_no_archive_holds_twice_gets_no_gate_and_is_told(
    configure: Configure,
    prepared: Prepared,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.export.gate.LARGEST_BACKBONE_BYTES", 15_000_000)
    rows = Partition(tuple(range(30)) * 2, ())
    with caplog.at_level(logging.INFO, "training"):
        assert gate_of(prepared, prepared.network, rows, configure()) is not None
        assert gate_of(prepared, prepared.network, rows, configure(unfreeze="layer4")) is None
    assert "no archive holds efficientnet_lite0 twice" in caplog.text


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_trained_model_names_new_photos_of_every_format(
    trained: tuple[TrainSettings, Trained], file_format: str
) -> None:
    _, result = trained

    for folder, label in zip(COLOURS, LABELS, strict=True):
        found = answer(result.model_dir, folder, file_format)
        assert found["predictions"][0]["label"] == label  # type: ignore[index]


def test_card_holds_the_folders_as_labels_and_of_few_photos_no_gate(
    trained: tuple[TrainSettings, Trained],
) -> None:
    settings, result = trained
    card = read_model_card(result.model_dir / "model.json")

    assert card.labels == LABELS == result.classes
    assert card.identity == "colours@3"
    assert card.gate is None
    assert card.metrics["top1"] == result.metrics.valid_top1
    assert card.training_run["hyperparameters"]["lr"] == settings.lr  # type: ignore[index]
    assert len(str(card.training_run["data_manifest_sha256"])) == 64


def test_model_folder_is_an_archive_of_onnx_and_text(
    trained: tuple[TrainSettings, Trained], tmp_path: Path
) -> None:
    _, result = trained
    card = read_model_card(result.model_dir / "model.json")
    texts = texts_in(result.model_dir)
    archive = package(result.model_dir / "model.onnx", card, tmp_path / "model.tar.gz", texts)
    names = {
        path.relative_to(result.model_dir).as_posix()
        for path in result.model_dir.rglob("*")
        if path.is_file()
    }

    extract_archive(archive, tmp_path / "content")

    unpacked = tmp_path / "content"
    assert names == {
        path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()
    }
    assert {Path(name).suffix for name in names} == {".py", ".json", ".onnx", ".yaml", ".txt", ""}
    # The package's weights are Apache-2.0.
    assert "Apache" in (result.model_dir / "LICENSE").read_text()
    assert "trained from the weights" in (result.model_dir / "NOTICE").read_text()


def test_model_folder_lists_the_photos_that_it_learned_from(
    trained: tuple[TrainSettings, Trained],
) -> None:
    settings, result = trained
    learned = read_learned(result.model_dir)
    assert learned is not None
    paths = DataSet.scan(settings.data).images
    assert {each.digest for each in learned} == {file_sha256(each.path)[:16] for each in paths}
    assert sum(each.use == "train" for each in learned) == 24


def test_model_is_served_without_torch(trained: tuple[TrainSettings, Trained]) -> None:
    _, result = trained
    program = (
        "import sys; from pathlib import Path; from model.serving.classifier import Classifier; "
        "Classifier.load(Path('.'), cores=1).close(); print('torch' in sys.modules)"
    )

    # The folder comes first on the path: it is the archive's own code that loads.
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=result.model_dir,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "False\n", done.stderr


def test_trained_model_shows_where_it_looked(trained: tuple[TrainSettings, Trained]) -> None:
    _, result = trained
    weights = result.model_dir / "model.onnx"
    images = np.random.default_rng(5).integers(0, 256, (1, 224, 224, 3), np.uint8)
    activation = ClassActivation(weights, 224)
    maps = [activation.of(images, place) for place in range(len(result.classes))]
    logits = np.array([each.positions.mean() + each.bias for each in maps])
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    np.testing.assert_allclose(shares, OnnxModel(weights).run(images).probabilities[0], atol=1e-4)


def test_served_pixels_are_normalised_as_the_trained_ones(
    trained: tuple[TrainSettings, Trained], configure: Configure
) -> None:
    settings, result = trained
    prepared = prepare(settings)
    fitted = fit(prepared, settings)
    pixels = np.stack([load_pixels(image, prepared.spec) for image in prepared.images[:4]])  # type: ignore[misc]
    with torch.inference_mode():
        expected = fitted.network.head.eval()(prepared.features.values[:4]).softmax(dim=1)

    served = OnnxModel(result.model_dir / "model.onnx").run(pixels)

    np.testing.assert_allclose(served.probabilities, expected, atol=1e-3)


def test_records_say_where_the_model_comes_from(
    trained: tuple[TrainSettings, Trained],
) -> None:
    settings, result = trained
    record = json.loads((settings.output_dir / "training.json").read_text())
    lines = (settings.output_dir / "metrics.jsonl").read_text().splitlines()
    state = torch.load(settings.output_dir / "checkpoint.pt", weights_only=True)

    assert record["settings"] == settings.to_json()
    assert record["labels"] == list(LABELS)
    assert [EpochMetrics(**json.loads(line)) for line in lines] == list(result.history)
    assert record["train_images"] + record["valid_images"] == len(LABELS) * IMAGES_A_CLASS
    assert {"head.2.weight", "backbone.conv_stem.weight"} <= set(state)


def test_model_that_onnx_and_torch_see_differently_is_not_exported(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = exporting.export_onnx

    def export_another(model: ServedModel, spec: object, destination: Path) -> None:
        linear = model.network.head[-1]  # type: ignore[union-attr, index]
        with torch.no_grad():
            linear.bias[0] += 0.01
        export(model, spec, destination)  # type: ignore[arg-type]
        with torch.no_grad():
            linear.bias[0] -= 0.01

    monkeypatch.setattr(exporting, "export_onnx", export_another)
    settings = configure()

    with pytest.raises(TrainingError, match="not exported"):
        train(settings)

    assert not settings.model_dir.exists()
    assert "differ" in (settings.output_dir / "failure").read_text()


def test_resnet50_from_nothing_learns_and_is_served(tmp_path: Path) -> None:
    few = draw_folder(tmp_path / "photos", 4)
    settings = short_training(
        few, tmp_path / "features", tmp_path, backbone="resnet50", weights="random", epochs=2
    )

    result = train(settings)

    first, second = result.history
    assert second.train_loss < first.train_loss
    found = answer(result.model_dir, "sky", "JPEG")
    assert {each["label"] for each in found["predictions"]} == set(LABELS)  # type: ignore[attr-defined, index]


def test_without_folds_the_answers_to_the_validation_photos_are_kept(
    trained: tuple[TrainSettings, Trained],
) -> None:
    settings, result = trained
    kept = read_out_of_fold(settings.output_dir)
    assert kept.kind == "validation"
    assert len(kept.paths) == 6
    assert kept.losses.mean() == pytest.approx(result.metrics.valid_loss, rel=1e-5)
