"""Small archives that hold what a model archive has to hold, and ones that do not."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archive.reading import SERVING_CODE

WEIGHTS = b"weights"
IMAGE_SPEC: dict[str, Any] = {
    "size": 224,
    "resize": 256,
    "crop": "center",
    "interpolation": "bicubic",
    "mean": [127.0, 127.0, 127.0],
    "std": [128.0, 128.0, 128.0],
    "layout": "NHWC",
}


def card(weights: bytes = WEIGHTS, **fields: Any) -> dict[str, Any]:
    """A card with everything that `archive.reading` asks for, too."""
    return {
        "schema": 1,
        "name": "dogs",
        "version": "7",
        "labels": ["akita", "pug"],
        "image_spec": IMAGE_SPEC,
        "gate": None,
        "metrics": {"top1": 0.917, "measured_on": "32 validation images"},
        "training_run": {
            "data_manifest_sha256": "d" * 64,
            "code_revision": "c" * 40,
            "hyperparameters": {"lr": 0.01, "class_weights": True, "layers": [1, 2]},
            "architecture": "resnet50",
        },
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    } | fields


def write_archive(
    path: Path,
    card_json: bytes | None = None,
    weights: bytes = WEIGHTS,
    more: Mapping[str, bytes] | None = None,
    leave_out: tuple[str, ...] = (),
) -> Path:
    """An archive with `more` behind its members, `leave_out` missing."""
    members = {
        "model.json": json.dumps(card(weights)).encode() if card_json is None else card_json,
        "model.onnx": weights,
        **dict.fromkeys(SERVING_CODE, b""),
        **(more or {}),
    }
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:
        for name, content in members.items():
            if name not in leave_out:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path
