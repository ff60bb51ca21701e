"""Measures the gate of trained models: python -m bench.gate --data PHOTOS --others FOLDER…

Five times a fifth of the photos is left out of everything; the gate of the others judges it, and
the photos in each folder of other things. Then: the share of photos refused whose classes the gate
lacks, by the number of prototypes for each class; and what the gate adds to a graph.
With `--unfreeze layer4` instead: five trainings that fine-tune the backbone. Their gate compares
features from before that; beside it stands one that compares the fine-tuned features, at a
threshold that loses as many of the left-out photos. Intervals count each photo once.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt
import torch

from imaging import Rejection, prepare
from model.export import ServedModel, export_onnx
from model.graph.gate import write_gated
from model.quantize import quantize
from model.serving.onnx_model import OnnxModel
from training.data.dataset import load_pixels
from training.data.features import Extractor
from training.data.partition import Partition, fold_partitions
from training.export import familiarity
from training.export.familiarity import Familiarity, Scores, fit_familiarity, unit_lengths
from training.export.gate import gate_of
from training.loop.checkpoint import Checkpoint
from training.loop.fitting import fit_once
from training.loop.prepared import Prepared
from training.loop.prepared import prepare as prepare_data
from training.networks.network import TransferNetwork, new_head
from training.settings import TrainSettings
from training.statistics.intervals import wilson_interval

PARTS, RUNS = 5, 30

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
        pixels = {str(each): other_pixels(each, prepared) for each in given.others}
        if given.unfreeze:
            # With folds the last epoch is kept, and no photo is needed to choose it.
            settings = replace(settings, unfreeze=given.unfreeze, folds=2)
            tuned = report_finetuned(prepared, settings, pixels)
            report_graph(prepared, tuned, given.unfreeze, pixels, folder)
            return
        features = features_of(prepared.network, prepared, pixels)
        for count in (1, 2, 4, 8):
            familiarity.PER_CLASS = count
            print(f"{count} prototypes a class: {left_out(prepared, features)}")
        familiarity.PER_CLASS = 2
        every = range(len(prepared.images))
        head = new_head(
            prepared.network,
            len(prepared.data.classes),
            1,
            prepared.features.values[list(every)].float(),
        )
        report_graph(prepared, prepared.network.with_head(head), "none", pixels, folder)


def other_pixels(folder: Path, prepared: Prepared) -> Images:
    size = prepared.spec.size
    outcomes = (
        prepare(path.read_bytes(), prepared.spec)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
    )
    found = [np.frombuffer(o.pixels, np.uint8) for o in outcomes if not isinstance(o, Rejection)]
    return np.stack(found).reshape(-1, size, size, 3)


def own_pixels(prepared: Prepared) -> Images:
    outcomes = [load_pixels(image, prepared.spec) for image in prepared.images]
    return np.stack([each for each in outcomes if not isinstance(each, Rejection)])


def features_of(
    network: TransferNetwork, prepared: Prepared, pixels: Mapping[str, Images]
) -> dict[str, Floats]:
    """The features of each folder's photos, a few at a time."""
    extract = Extractor(network.backbone.eval(), "", prepared.spec, False, prepared.device)
    return {
        name: np.concatenate(
            [extract(images[start : start + 16]).numpy() for start in range(0, len(images), 16)]
        )
        for name, images in pixels.items()
    }


def fitted(
    prepared: Prepared, rows: Sequence[int], rescale: torch.nn.Module | None = None
) -> tuple[Familiarity, torch.nn.Module]:
    values = prepared.features.values
    if rescale is None:
        classes = len(prepared.data.classes)
        rescale = new_head(prepared.network, classes, 1, values[list(rows)].float())[0]

    def features(some: Sequence[int]) -> Floats:
        return rescaled(rescale, values[list(some)].numpy())

    gate = fit_familiarity(features, rows, prepared.labels.numpy(), prepared.first_alike)
    if gate is None:
        raise SystemExit("there are too few photos for a gate")
    return gate, rescale


def refused(gate: Familiarity, rescale: torch.nn.Module, features: Floats) -> npt.NDArray[np.bool_]:
    units = unit_lengths(rescaled(rescale, features))
    nearest = gate.tables.prototypes.astype(np.float32)
    nearest /= np.linalg.norm(nearest, axis=1, keepdims=True)
    reached = familiarity.familiarity(units, nearest)[:, None] >= gate.tables.knots
    return np.asarray(reached @ gate.tables.weights < gate.minimum)


def left_out(prepared: Prepared, others: Mapping[str, Floats]) -> str:
    count = len(prepared.images)
    part = np.random.default_rng(0).permutation(count) % PARTS
    lost, new = 0, []
    named = dict.fromkeys(others, 0)
    for number in range(PARTS):
        gate, rescale = fitted(prepared, np.nonzero(part != number)[0].tolist())
        judged = prepared.features.values[np.nonzero(part == number)[0].tolist()].float().numpy()
        lost += int(refused(gate, rescale, judged).sum())
        for name, features in others.items():
            named[name] += int((~refused(gate, rescale, features)).sum())
        new.append(gate.new_classes_refused or 0)
    shares = "; ".join(share_named(named[name], len(others[name]), name) for name in others)
    return f"{share_lost(lost, count)}; {shares}; {np.mean(new):.3f} of left-out classes refused"


def share_lost(lost: int, count: int) -> str:
    low, high = wilson_interval(lost, count)
    return f"{lost} of {count} left-out photos refused (95 %: {low:.4f} to {high:.4f})"


def share_named(answers: int, count: int, folder: str) -> str:
    """The mean of the trainings, as a share of the photos."""
    low, high = wilson_interval(answers / PARTS, count)
    return (
        f"{answers / PARTS / count:.4f} of {count} in {Path(folder).name} named "
        f"(95 %: {low:.4f} to {high:.4f})"
    )


def report_finetuned(
    prepared: Prepared, settings: TrainSettings, pixels: Mapping[str, Images]
) -> TransferNetwork:
    """Prints what the gates of five fine-tuned models refuse, and returns the last model."""
    count, seconds = len(prepared.images), process_time()
    before = features_of(prepared.network, prepared, pixels)
    own = own_pixels(prepared)
    lost, named = 0, dict.fromkeys(pixels, 0)
    right, scores_of_own = 0, []
    scores_of_others: dict[str, list[Scores]] = {name: [] for name in pixels}
    for part in fold_partitions(prepared.images, range(count), PARTS, 1, prepared.first_alike):
        kept, judged = Partition(part.train, ()), list(part.valid)
        network = fit_once(prepared, settings, kept, (), Checkpoint(None, "")).network.eval()
        gate = gate_of(prepared, network, kept, settings)
        if gate is None:
            raise SystemExit("there are too few photos for a gate")
        rescale = network.head[0]
        lost += int(refused(gate, rescale, prepared.features.values[judged].numpy()).sum())
        for name, features in before.items():
            named[name] += int((~refused(gate, rescale, features)).sum())

        after = features_of(network, prepared, {**pixels, "": own})
        units = {name: unit_lengths(rescaled(rescale, each)) for name, each in after.items()}
        learned = list(part.train)
        nearest = familiarity.prototypes(units[""][learned], prepared.labels[learned].numpy())
        scores_of_own.append(familiarity.familiarity(units[""][judged], nearest))
        for name in pixels:
            scores_of_others[name].append(familiarity.familiarity(units[name], nearest))
        right += labels_right(network, after[""][judged], prepared.labels[judged])
    print(f"{settings.unfreeze}: {right} of {count} left-out photos named right")
    shares = "; ".join(share_named(named[name], len(pixels[name]), name) for name in pixels)
    print(f"features from before: {share_lost(lost, count)}; {shares}")
    threshold = np.sort(np.concatenate(scores_of_own))[max(0, lost - 1)]
    shares = "; ".join(
        share_named(int((np.stack(each) > threshold).sum()), len(pixels[name]), name)
        for name, each in scores_of_others.items()
    )
    print(f"fine-tuned features, as many refused: {shares}")
    print(f"{process_time() - seconds:.0f} s of CPU", flush=True)
    return network


def rescaled(rescale: torch.nn.Module, features: Floats) -> Floats:
    scaled: Floats = rescale(torch.from_numpy(np.array(features, np.float32))).numpy()
    return scaled


def labels_right(network: TransferNetwork, features: Floats, labels: torch.Tensor) -> int:
    with torch.inference_mode():
        return int((network.head(torch.from_numpy(features)).argmax(dim=1) == labels).sum())


def refused_by(model: OnnxModel, images: Images, least: float) -> int:
    counts = 0
    for start in range(0, len(images), 8):
        known = model.run(images[start : start + 8]).known
        if known is None:
            raise SystemExit("the graph has no gate")
        counts += int((known < least).sum())
    return counts


def report_graph(
    prepared: Prepared,
    network: TransferNetwork,
    unfreeze: str,
    others: Mapping[str, Images],
    folder: Path,
) -> None:
    """Prints what the gate adds in bytes and CPU time, and whether it survives int8."""
    gate, _ = fitted(prepared, range(len(prepared.images)), network.head[0].cpu())
    names = ("plain", "before", "gated", "int8")
    plain, before, gated, int8 = (folder / f"{name}.onnx" for name in names)
    export_onnx(ServedModel(network.cpu(), prepared.spec).eval(), prepared.spec, plain)
    if unfreeze == "none":
        write_gated(plain, gate.tables, gated)
    else:
        original = prepared.network.with_head(network.head).cpu()
        export_onnx(ServedModel(original, prepared.spec).eval(), prepared.spec, before)
        write_gated(plain, gate.tables, gated, before)
    pixels = own_pixels(prepared)
    quantize(gated, int8, pixels[::2])
    print(f"the gate adds {gated.stat().st_size - plain.stat().st_size:,} bytes")
    models = {file.stem: OnnxModel(file) for file in (plain, gated, int8)}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(RUNS):  # in turn, because the machine's speed changes
        for name, model in models.items():
            began = process_time()
            model.run(pixels[:8])
            seconds[name].append(process_time() - began)
    for name, model in models.items():
        line = f"{name}: {1000 * np.median(seconds[name]) / 8:.2f} ms an image"
        if name != "plain":
            judged = {"learned photos": pixels, **others}
            refusals = (
                f"{refused_by(model, images, gate.minimum)} of {len(images)} {Path(each).name}"
                for each, images in judged.items()
            )
            line += f", refuses {', '.join(refusals)}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
