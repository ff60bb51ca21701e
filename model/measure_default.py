"""Measures the default model on your photos, before and after quantisation.

    python -m model.measure_default --about "source of the photos" FOLDER…

Each folder has a `manifest.csv` with the columns `path` and `label`: a breed, or `not_dog` (text
after a colon is ignored). Breeds that ImageNet does not know and photos of several dogs are left
out. Prints the numbers and writes them, with the sha256 of the weights, to
`model/default/metrics.json`; `python -m model.build_default` copies them to the card.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from archive.names import labels_named
from archive.reading import sha256_of
from imaging import Rejection, prepare
from model.build_default import (
    GATE,
    IMAGE_SPEC,
    METRICS_FILE,
    build_weights,
    default_labels,
    default_names,
)
from model.serving.onnx_model import Images, OnnxModel, Scores, joined

IMAGES_PER_RUN = 8
NOT_A_DOG = "not_dog"


@dataclass(frozen=True, slots=True)
class LabelledPhotos:
    """Photos with known content.

    Attributes:
        images: uint8 [n, size, size, 3].
        answers: per image the indices of the correct labels; empty for an image without a dog.
    """

    name: str
    images: Images
    answers: list[set[int]]


def read_photos(folder: Path) -> LabelledPhotos:
    """Reads and prepares the photos of a folder.

    Raises:
        OSError: there is no manifest, or a photo that it names is missing.
    """
    images, answers = [], []
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for path, answer in _usable_rows(csv.DictReader(file)):
            outcome = prepare((folder / path).read_bytes(), IMAGE_SPEC)
            if isinstance(outcome, Rejection):
                print(f"left out: {path}: {outcome.reason}", file=sys.stderr)
                continue
            images.append(np.frombuffer(outcome.pixels, np.uint8))
            answers.append(answer)
    shape = (-1, IMAGE_SPEC.size, IMAGE_SPEC.size, 3)
    return LabelledPhotos(folder.name, np.stack(images).reshape(shape), answers)


def _usable_rows(rows: Iterable[dict[str, str]]) -> Iterator[tuple[str, set[int]]]:
    labels, names = default_labels(), default_names()
    for row in rows:
        breed = row["label"].split(":")[0].lower()
        answer = {labels.index(label) for label in labels_named(breed, labels, names)}
        if answer or breed == NOT_A_DOG:
            yield row["path"], answer


def score(weights: Path, images: Images) -> tuple[Scores, float]:
    """Runs a model on one core; returns its scores and the CPU time in milliseconds an image."""
    model = OnnxModel(weights)
    batches = [images[i : i + IMAGES_PER_RUN] for i in range(0, len(images), IMAGES_PER_RUN)]
    model.run(batches[0])
    started = time.process_time()
    scores = joined([model.run(batch) for batch in batches])
    return scores, 1000 * (time.process_time() - started) / len(images)


def measure(photos: LabelledPhotos, scores: Scores) -> dict[str, float | int]:
    """Returns top-1 and top-5 accuracy over the dogs, and the gate's errors for dogs and others."""
    if scores.known is None:
        raise ValueError("the default model must have the output `known`")
    is_dog = np.array([bool(answer) for answer in photos.answers])
    passed = scores.known >= GATE.minimum
    measured: dict[str, float | int] = {}
    if not is_dog.all():
        measured["others"] = int((~is_dog).sum())
        measured["others_called_a_dog"] = int(passed[~is_dog].sum())
    if is_dog.any():
        best = np.argsort(-scores.probabilities, axis=1, kind="stable")[:, :5]
        hits = [
            [index in answer for index in row]
            for row, answer in zip(best.tolist(), photos.answers, strict=True)
            if answer
        ]
        measured["dogs"] = len(hits)
        measured["top1"] = round(float(np.mean([row[0] for row in hits])), 4)
        measured["top5"] = round(float(np.mean([any(row) for row in hits])), 4)
        measured["dogs_called_no_dog"] = int((~passed[is_dog]).sum())
    return measured


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python -m model.measure_default",
        description="Measures the default model; writes model/default/metrics.json.",
    )
    parser.add_argument("folders", nargs="+", type=Path, help="photos with a manifest.csv")
    parser.add_argument("--about", required=True, help="what the photos are, for the card")
    options = parser.parse_args(arguments)
    sets = [read_photos(folder) for folder in options.folders]
    with tempfile.TemporaryDirectory() as temporary:
        fp32, int8 = build_weights(Path(temporary))
        results = [_compare(photos, fp32, int8) for photos in sets]
        metrics = {
            "measured_on": options.about,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "weights_sha256": sha256_of(int8),
            "sets": results,
        }
    METRICS_FILE.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return 0


def _compare(photos: LabelledPhotos, fp32: Path, int8: Path) -> dict[str, object]:
    result: dict[str, object] = {"set": photos.name}
    for name, weights in (("int8", int8), ("fp32", fp32)):
        scores, cpu_ms = score(weights, photos.images)
        result[name] = measure(photos, scores)
        print(f"{photos.name} {name}: {result[name]}, {cpu_ms:.2f} CPU ms an image")
    return result


if __name__ == "__main__":
    sys.exit(main())
