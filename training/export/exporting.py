"""Exports a trained network as a servable model, with the records of its training."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from archive.card import ModelCard
from archive.crowd import BASELINE
from archive.reading import sha256_of
from archive.uncertainty import Gate
from imaging import ImageSpec, Rejection
from model.export import ServedModel, export_onnx
from model.graph.gate import write_gated
from model.package import LEARNED_PHOTOS_NAME, ROOT, write_content
from model.revision import code_revision
from training.data.dataset import LabelledImage, load_pixels, spread
from training.data.learned_photos import LearnedPhoto, learned_text
from training.errors import TrainingError
from training.export.familiarity import Familiarity
from training.networks.network import TransferNetwork
from training.settings import FOLDERS, TrainSettings
from training.statistics.spread import CrossValidationSpread
from training.tracking.metric_lines import FILE_NAME as METRICS_NAME
from training.tracking.metric_lines import metric_json
from training.tracking.run_folders import RECORD_NAME
from training.watch.observer import EpochMetrics

# Copied into models that were trained from `--weights package`.
PACKAGE_LICENCES = (
    ROOT / "training" / "licences" / "NOTICE",
    ROOT / "model" / "default" / "LICENSE",
)
CHECKPOINT_NAME = "checkpoint.pt"
EXPORT_TOOLS = ("onnx", "onnxscript", "onnxruntime")
# Two fp32 runtimes sum in different orders; on these networks probabilities differ by 2e-7 to 4e-7.
# A difference hundreds of times larger means a wrong graph.
MAX_DIFFERENCE = 1e-4
COMPARED_IMAGES = 32
BASELINE_IMAGES = 300  # ten bins need no more
GATE_LABELS = ("unknown", "none_of_these", "not_one_of_the_labels")
_VERSIONS_OF = ("torch", "torchvision", "onnx", "onnxruntime", "pillow", "numpy")

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training: where its model comes from, and how it went."""

    settings: TrainSettings
    classes: tuple[str, ...]
    """In the order of the network's outputs; they become the labels."""
    data_manifest_sha256: str
    backbone_sha256: str
    """Of the weights that the training started from."""
    train_images: int
    valid_images: int
    left_out: int
    """Images that were rejected."""
    learned: tuple[LearnedPhoto, ...]
    """All photos that the training used."""
    metrics: EpochMetrics
    """Of the epoch that was kept; with folds over the folds' last epochs."""
    history: tuple[EpochMetrics, ...]
    folds: tuple[EpochMetrics, ...]
    spread: CrossValidationSpread | None
    """Of the folds; None without."""
    ece: float | None
    """The expected calibration error of the answers to photos that were not learned from."""
    seconds: float
    """Wall time of the training without the features."""
    gate: Familiarity | None
    """None where no threshold could be measured."""
    is_complete: bool = True
    """Whether no photo can be among what was left out of the data."""
    tracked_as: Mapping[str, str] = field(default_factory=dict)
    """Ids of this run elsewhere, to which an evaluation may add its figures."""

    @property
    def model_dir(self) -> Path:
        """The content of a servable archive."""
        return self.settings.model_dir


def check_export_tools() -> None:
    """Checks for the packages that only the end of a training needs.

    Raises:
        TrainingError: one is missing.
    """
    missing = [name for name in EXPORT_TOOLS if find_spec(name) is None]
    if missing:
        raise TrainingError(
            f"Not installed: {', '.join(missing)}; the trained model could not be exported.",
            "Install them: pip install -r requirements.txt beside train.py, or `make train-setup`.",
        )


def export_model(
    network: TransferNetwork,
    spec: ImageSpec,
    images: Sequence[LabelledImage],
    trained: Trained,
    original: TransferNetwork | None = None,
) -> None:
    """Writes the model's folder, the record, the metrics and the state dict.

    Args:
        images: the validation photos, or, without any, those that it was trained on. Some of them
            are used to compare torch and ONNX Runtime, and are the baseline of drift.
        original: with the backbone before fine-tuning, where the gate compares its features.

    Raises:
        TrainingError: the two give different probabilities; nothing is written then.
        OSError: a file cannot be written.
    """
    settings = trained.settings
    served = ServedModel(network.cpu(), spec).eval()
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / "model.onnx"
        _write_graph(served, spec, weights, settings)
        difference = largest_difference(served, weights, comparison_images(images, spec))
        if not difference <= MAX_DIFFERENCE:
            raise TrainingError(
                f"ONNX Runtime and torch differ by {difference:.2g} in a probability, more than "
                f"{MAX_DIFFERENCE:g}: the model is not exported.",
                "Keep the checkpoint and report it with the versions of torch and onnx.",
            )
        if trained.gate is not None:
            before = None
            if original is not None:
                before = Path(temporary) / "before_finetuning.onnx"
                # A copy, because other trainings use the same backbone where it is.
                as_it_was = ServedModel(deepcopy(original).cpu(), spec).eval()
                _write_graph(as_it_was, spec, before, settings)
            write_gated(weights, trained.gate.tables, weights, before)
        card = model_card(trained, spec, sha256_of(weights), difference)
        card = replace(card, metrics={**card.metrics, **_baseline(weights, card, images, trained)})
        # The licence of the package's weights requires that it is passed on.
        licences = PACKAGE_LICENCES if settings.weights == "package" else ()
        photos = Path(temporary) / LEARNED_PHOTOS_NAME
        photos.write_bytes(learned_text(trained.learned))
        write_content(weights, card, settings.model_dir, (*licences, photos))
    write_records(network, trained, card)


def _write_graph(
    served: ServedModel, spec: ImageSpec, destination: Path, settings: TrainSettings
) -> None:
    try:
        export_onnx(served, spec, destination)
    except torch.onnx.OnnxExporterError as error:
        raise TrainingError(
            f"{settings.backbone} cannot be exported to ONNX: {str(error).splitlines()[0]}",
            "Use another --backbone.",
        ) from error


def _baseline(
    weights: Path, card: ModelCard, images: Sequence[LabelledImage], trained: Trained
) -> dict[str, object]:
    # See check_export_tools.
    from model.baseline import baseline_counts, prepared_photos  # noqa: PLC0415
    from model.serving.onnx_model import OnnxModel  # noqa: PLC0415

    files = [image.path for image in spread(images, BASELINE_IMAGES)]
    photos = prepared_photos(files, card.image_spec)
    counts = baseline_counts(OnnxModel(weights), card, photos)
    if not trained.valid_images:  # of photos that it was trained on it is too sure
        counts = {name: each for name, each in counts.items() if not name.startswith("confidence:")}
    return {BASELINE: counts}


def comparison_images(images: Sequence[LabelledImage], spec: ImageSpec) -> Images:
    """Prepares up to COMPARED_IMAGES of the images; returns uint8 [n, size, size, 3]."""
    outcomes = [load_pixels(image, spec) for image in spread(images, COMPARED_IMAGES)]
    return np.stack([pixels for pixels in outcomes if not isinstance(pixels, Rejection)])


def largest_difference(served: ServedModel, weights: Path, images: Images) -> float:
    """The largest difference of a probability between torch and ONNX Runtime; NaN if one is NaN."""
    # See check_export_tools.
    from model.serving.onnx_runtime import onnxruntime  # noqa: PLC0415

    session = onnxruntime.InferenceSession(weights, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"images": images})
    with torch.inference_mode():
        (expected,) = served(torch.from_numpy(images))
    return float(np.abs(found - expected.numpy()).max())


def model_card(
    trained: Trained, spec: ImageSpec, weights_sha256: str, difference: float
) -> ModelCard:
    """Makes the card."""
    settings, gate = trained.settings, trained.gate
    return ModelCard(
        name=settings.name,
        version=settings.version,
        labels=trained.classes,
        image_spec=spec,
        gate=None if gate is None else Gate(_gate_label(trained.classes), gate.minimum),
        metrics=card_metrics(trained) | ({} if gate is None else {"gate": gate.to_json()}),
        training_run={
            "architecture": settings.backbone,
            "initial_weights": settings.weights,
            "initial_backbone_sha256": trained.backbone_sha256,
            "data_manifest_sha256": trained.data_manifest_sha256,
            "train_images": trained.train_images,
            "valid_images": trained.valid_images,
            "images_left_out": trained.left_out,
            "code_revision": code_revision(),
            "hyperparameters": hyperparameters(settings),
            "epochs_kept": trained.metrics.epoch,
            "onnx_difference": difference,
            "seconds": round(trained.seconds, 3),
            "versions": versions(),
            **trained.tracked_as,
        },
        weights_sha256=weights_sha256,
    )


def _gate_label(classes: Sequence[str]) -> str:
    """Returns the label of refused photos: the first that no class has."""
    return next(label for label in GATE_LABELS if label not in classes)


def card_metrics(trained: Trained) -> dict[str, object]:
    """The validation metrics; empty without validation images."""
    metrics = trained.metrics
    if metrics.valid_top1 is None:
        return {}
    seeds = trained.settings.seeds
    repeats = f", {seeds} seeds" if seeds > 1 else ""
    measured_on = (
        f"{trained.settings.folds}-fold cross-validation, last epochs{repeats}"
        if trained.folds
        else f"{trained.valid_images} validation images, which also chose the epoch"
    )
    measured: dict[str, object] = {
        "measured_on": measured_on,
        "loss": metrics.valid_loss,
        "top1": metrics.valid_top1,
        "top5": metrics.valid_top5,
    }
    if trained.spread is not None:
        measured["loss_interval"] = list(trained.spread.log_loss.interval)
        measured["top1_interval"] = list(trained.spread.top1.interval)
    return measured


def hyperparameters(settings: TrainSettings) -> dict[str, object]:
    """The settings that influence the model; no paths, no names, nothing about monitoring."""
    paths = {*FOLDERS, "weights"}
    labels = {"name", "version", "backbone", "monitor_interval", "profile"}
    return {name: value for name, value in settings.to_json().items() if name not in paths | labels}


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that influence a model's numbers."""
    found = {"python": platform.python_version()}
    for name in _VERSIONS_OF:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def write_records(network: TransferNetwork, trained: Trained, card: ModelCard) -> None:
    """Writes `training.json`, `metrics.jsonl` and `checkpoint.pt` to the output folder."""
    folder = trained.settings.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "model": card.identity,
        "settings": trained.settings.to_json(),
        "metrics": asdict(trained.metrics),
        "history": [asdict(metrics) for metrics in trained.history],
        "folds": [asdict(metrics) for metrics in trained.folds],
        "ece": trained.ece,
        "spread": None if trained.spread is None else asdict(trained.spread),
        "labels": list(trained.classes),
        **card.training_run,
    }
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / RECORD_NAME).write_text(f"{text}\n", encoding="utf-8")
    lines = [metric_json(metrics) for metrics in trained.history]
    (folder / METRICS_NAME).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    torch.save(network.state_dict(), folder / CHECKPOINT_NAME)
