"""Whether a second look is worth its cost in serving: python -m bench.second_look FOLDER…

Each folder has a `manifest.csv` (see `model.measure_default`); photos of breeds that the model
knows are judged. Beside the prepared square the model sees it mirrored, or another square of the
photo, and the probabilities are averaged. Prints top-1, log loss, what both differ by with the 95 %
interval of a bootstrap over photos, and the model's CPU time.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import numpy.typing as npt

from archive.card import ModelCard
from archive.names import labels_named
from archive.reading import WEIGHTS_NAME, extract_archive
from imaging import ImageSpec, Rejection, prepare
from model.package import DEFAULT_ARCHIVE
from model.serving.onnx_model import OnnxModel
from training.statistics.intervals import mean_interval

# Length of the shorter side before the crop, as a share of the crop: the spec's is 1.14.
WIDER, CLOSER = 1.0, 1.3

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def known_photos(folders: Sequence[Path], card: ModelCard) -> tuple[list[bytes], list[set[int]]]:
    """The files of photos that the model has a label for, and those labels' places."""
    files, answers = [], []
    for folder in folders:
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                breed = row["label"].split(":")[0].lower()
                found = labels_named(breed, card.labels, card.names)
                if found:
                    files.append((folder / row["path"]).read_bytes())
                    answers.append({card.labels.index(label) for label in found})
    return files, answers


def pixels(file: bytes, spec: ImageSpec) -> Images:
    outcome = prepare(file, spec)
    if isinstance(outcome, Rejection):
        raise SystemExit(f"rejected: {outcome.detail}")
    return np.frombuffer(outcome.pixels, np.uint8).reshape(spec.size, spec.size, 3)


def answered(model: OnnxModel, images: Images) -> tuple[Floats, float]:
    """The probabilities, [n, labels], and the CPU milliseconds an image."""
    began = process_time()
    rows = [model.run(image[None]).probabilities[0] for image in images]
    return np.array(rows, np.float64), 1000 * (process_time() - began) / len(images)


def main() -> None:
    """Prints a line for each way of looking."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    folders = parser.parse_args().folders
    with TemporaryDirectory() as temporary:
        content = Path(temporary) / "content"
        card = extract_archive(DEFAULT_ARCHIVE, content)
        model, spec = OnnxModel(content / WEIGHTS_NAME), card.image_spec
        files, answers = known_photos(folders, card)
        print(f"{len(files)} photos of known breeds")
        once = np.stack([pixels(file, spec) for file in files])
        looks: dict[str, Images] = {"once": once, "mirrored": once[:, :, ::-1].copy()}
        for name, share in (("wider", WIDER), ("closer", CLOSER)):
            other = replace(spec, resize=round(spec.size * share))
            looks[name] = np.stack([pixels(file, other) for file in files])
        found = {name: answered(model, images) for name, images in looks.items()}
    first = found["once"][0]
    for ways in (
        ("once",),
        ("wider",),
        ("closer",),
        ("once", "mirrored"),
        ("once", "wider"),
        ("once", "closer"),
        tuple(looks),
    ):
        mean = np.mean([found[name][0] for name in ways], axis=0)
        loss, right = judged(mean, answers)
        loss_before, right_before = judged(first, answers)
        lower, upper = mean_interval(loss - loss_before)
        worse, better = mean_interval(right - right_before)
        print(
            f"{' + '.join(ways):36} top-1 {right.mean():.3f} ({worse:+.3f} to {better:+.3f}), "
            f"log loss {loss.mean():.3f} ({lower:+.3f} to {upper:+.3f}), "
            f"{sum(found[name][1] for name in ways):.1f} ms"
        )


def judged(probabilities: Floats, answers: Sequence[set[int]]) -> tuple[Floats, Floats]:
    """The log loss of each photo, in nats, and 1.0 where its first label is right."""
    shares = [row[list(answer)].sum() for row, answer in zip(probabilities, answers, strict=True)]
    best = probabilities.argmax(axis=1)
    right = [place in answer for place, answer in zip(best.tolist(), answers, strict=True)]
    return -np.log(np.maximum(shares, 1e-12)), np.array(right, np.float64)


if __name__ == "__main__":
    main()
