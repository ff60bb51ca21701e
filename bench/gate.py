"""Measures the gate of trained models: python -m bench.gate --data PHOTOS --others FOLDER…

Five times a fifth of the photos is left out of everything; the gate of the others judges it, and
the photos in the folders of other things. Then: the share of photos refused whose classes the gate
lacks, by the number of prototypes for each class; and what the gate adds to a graph.
With `--unfreeze layer4` instead: five trainings with three folds that fine-tune the backbone; their
exported models judge the same photos.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt
import torch

from archive.card import read_model_card
from imaging import Rejection, prepare
from model.export import ServedModel, export_onnx
from model.onnx_gate import write_gated
from model.quantize import quantize
from model.serving.onnx_model import OnnxModel
from training import familiarity
from training.data.dataset import load_pixels
from training.data.features import Extractor
from training.data.partition import fold_partitions
from training.familiarity import Familiarity, fit_familiarity
from training.intervals import wilson_interval
from training.network import new_head
from training.prepared import Prepared
from training.prepared import prepare as prepare_data
from training.settings import TrainSettings
from training.train import export, fit

PARTS, RUNS = 5, 30
FINETUNED_FOLDS = 3  # a class of four photos has three left

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="class/PHOTO")
    parser.add_argument("--others", type=Path, nargs="+", required=True, help="other things")
    parser.add_argument("--unfreeze", choices=("layer4", "all"), help="of fine-tuned models")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = TrainSettings(
            data=given.data, backbone="efficientnet_lite0", output_dir=folder / "output"
        )
        prepared = prepare_data(settings)
        pixels = other_pixels(given.others, prepared)
        if given.unfreeze:
            report_finetuned(
                prepared, replace(settings, unfreeze=given.unfreeze, folds=FINETUNED_FOLDS), pixels
            )
            return
        features = Extractor(
            prepared.network.backbone,
            prepared.backbone_sha256,
            prepared.spec,
            settings.amp,
            prepared.device,
        )(pixels).numpy()
        for count in (1, 2, 4, 8):
            familiarity.PER_CLASS = count
            print(f"{count} prototypes a class: {left_out(prepared, features)}")
        familiarity.PER_CLASS = 2
        report_graph(prepared, pixels, folder)


def other_pixels(folders: Sequence[Path], prepared: Prepared) -> Images:
    size = prepared.spec.size
    outcomes = (
        prepare(path.read_bytes(), prepared.spec)
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
    )
    found = [np.frombuffer(o.pixels, np.uint8) for o in outcomes if not isinstance(o, Rejection)]
    return np.stack(found).reshape(-1, size, size, 3)


def fitted(prepared: Prepared, rows: Sequence[int]) -> tuple[Familiarity, torch.nn.Module]:
    values = prepared.features.values
    rescale = new_head(prepared.network, len(prepared.data.classes), 1, values[list(rows)].float())[
        0
    ]

    def features(some: Sequence[int]) -> Floats:
        scaled: Floats = rescale(values[list(some)].float()).numpy()
        return scaled

    gate = fit_familiarity(features, rows, prepared.labels.numpy(), prepared.first_alike)
    if gate is None:
        raise SystemExit("there are too few photos for a gate")
    return gate, rescale


def refused(gate: Familiarity, rescale: torch.nn.Module, features: Floats) -> npt.NDArray[np.bool_]:
    scaled = rescale(torch.from_numpy(np.array(features, np.float32))).numpy()
    units = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    nearest = gate.tables.prototypes.astype(np.float32)
    nearest /= np.linalg.norm(nearest, axis=1, keepdims=True)
    reached = familiarity.familiarity(units, nearest)[:, None] >= gate.tables.knots
    return np.asarray(reached @ gate.tables.weights < gate.minimum)


def left_out(prepared: Prepared, others: Floats) -> str:
    count = len(prepared.images)
    part = np.random.default_rng(0).permutation(count) % PARTS
    lost, passed, new = 0, 0, []
    for number in range(PARTS):
        gate, rescale = fitted(prepared, np.nonzero(part != number)[0].tolist())
        judged = prepared.features.values[np.nonzero(part == number)[0].tolist()].float().numpy()
        lost += int(refused(gate, rescale, judged).sum())
        passed += int((~refused(gate, rescale, others)).sum())
        new.append(gate.new_classes_refused or 0)
    return (
        f"{lost} of {count} left-out photos refused, "
        f"{passed} of {PARTS * len(others)} answers about other things are names, "
        f"{np.mean(new):.3f} of photos of left-out classes refused"
    )


def report_finetuned(prepared: Prepared, settings: TrainSettings, others: Images) -> None:
    """Prints what the gates of five fine-tuned models refuse, as their graphs decide it."""
    count = len(prepared.images)
    pixels = np.stack([load_pixels(each, prepared.spec) for each in prepared.images])  # type: ignore[misc]
    lost, named, seconds = 0, 0, process_time()
    parts = fold_partitions(prepared.images, range(count), PARTS, 1, prepared.first_alike)
    for number, part in enumerate(parts, 1):
        held = replace(
            prepared,
            images=tuple(
                replace(image, split="test" if row in part.valid else "train")
                for row, image in enumerate(prepared.images)
            ),
        )
        result = export(held, fit(held, settings), settings)
        gate = read_model_card(result.model_dir / "model.json").gate
        if gate is None:
            raise SystemExit("there are too few photos for a gate")
        model = OnnxModel(result.model_dir / "model.onnx")
        least = gate.minimum
        lost += refused_by(model, pixels[list(part.valid)], least)
        named += len(others) - refused_by(model, others, least)
        print(f"  {number} of {PARTS}: {lost} lost, {named} named", flush=True)
    low, high = wilson_interval(named, PARTS * len(others))
    print(
        f"{settings.unfreeze}: {lost} of {count} left-out photos refused, {named} of "
        f"{PARTS * len(others)} answers about {len(others)} other things are names "
        f"(95 %: {low:.4f} to {high:.4f}); {process_time() - seconds:.0f} s of CPU"
    )


def refused_by(model: OnnxModel, images: Images, least: float) -> int:
    counts = 0
    for start in range(0, len(images), 8):
        known = model.run(images[start : start + 8]).known
        if known is None:
            raise SystemExit("the graph has no gate")
        counts += int((known < least).sum())
    return counts


def report_graph(prepared: Prepared, others: Images, folder: Path) -> None:
    """Prints what the gate adds in bytes and CPU time, and whether it survives int8."""
    every = range(len(prepared.images))
    gate, _ = fitted(prepared, every)
    head = new_head(
        prepared.network,
        len(prepared.data.classes),
        1,
        prepared.features.values[list(every)].float(),
    )
    plain, gated, int8 = (folder / name for name in ("plain.onnx", "gated.onnx", "int8.onnx"))
    network = prepared.network.with_head(head).cpu().eval()
    export_onnx(ServedModel(network, prepared.spec).eval(), prepared.spec, plain)
    write_gated(plain, gate.tables, gated)
    outcomes = [load_pixels(image, prepared.spec) for image in prepared.images]
    pixels = np.stack([each for each in outcomes if not isinstance(each, Rejection)])
    quantize(gated, int8, pixels[::2])
    print(f"the gate adds {gated.stat().st_size - plain.stat().st_size:,} bytes")
    for name, file in (("plain", plain), ("gated", gated), ("int8", int8)):
        model = OnnxModel(file)
        model.run(pixels[:8])
        began = process_time()
        for _ in range(RUNS):
            scores = model.run(pixels[:8])
        line = f"{name}: {1000 * (process_time() - began) / RUNS / 8:.2f} ms an image"
        if scores.known is not None:
            own, other = (
                sum(
                    int((known.known < gate.minimum).sum())
                    for start in range(0, len(images), 8)
                    if (known := model.run(images[start : start + 8])).known is not None
                )
                for images in (pixels, others)
            )
            line += (
                f", refuses {own} of {len(pixels)} learned photos, {other} of {len(others)} others"
            )
        print(line)


if __name__ == "__main__":
    main()
