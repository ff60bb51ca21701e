"""Fits and compares rules that detect unknown breeds: python -m bench.unknown_breeds.

    python -m bench.unknown_breeds FOLDER…

Each folder has a `manifest.csv` (see `model.measure_default`). A breed that none of the model's
labels names is an unknown breed. Fits the temperature and the threshold that
`python -m model.build_default` reads from `model/default/calibration.json`, judges both by photos
that they were not fitted on, and writes them there with `--write`. Prints for each abstention how
many photos of known breeds it loses and how many of unknown ones it names.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from archive.names import labels_named
from archive.reading import WEIGHTS_NAME, extract_archive
from archive.uncertainty import Unknown
from imaging import Rejection, prepare
from model.build_default import (
    CALIBRATION_FILE,
    DOG_CLASSES,
    GATE,
    IMAGE_SPEC,
    RIVALS,
    default_groups,
    default_labels,
    default_names,
)
from model.package import DEFAULT_ARCHIVE
from model.serving.answers import groups_of, leads
from model.serving.onnx_runtime import onnxruntime
from training.statistics import metrics

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LOST = 0.10  # of the known breeds' photos
CONFIDENT = 0.5
HALVES = 40
OTHER = "not_dog"
# The groups (FCI, American Eskimo dog: that of the spitz dogs) of breeds that the model lacks.
GROUPS_OF_UNKNOWN = {
    "akita": "spitz_and_primitive_dogs",
    "american_eskimo_dog": "spitz_and_primitive_dogs",
    "american_foxhound": "scent_hounds",
    "american_water_spaniel": "retrievers_and_spaniels",
    "anatolian_shepherd_dog": "pinschers_mastiffs_and_mountain_dogs",
    "australian_cattle_dog": "herding_dogs",
    "australian_shepherd": "herding_dogs",
    "bearded_collie": "herding_dogs",
    "beauceron": "herding_dogs",
}


@dataclass(frozen=True, slots=True)
class Photos:
    """The default model's last layer for each of n photos.

    Attributes:
        answers: the indices of the right labels; empty for unknown breeds and other things.
        features: [n, 1280], the input of the last layer; logits: [n, 1000].
        weights: [1000, 1280], the last layer's.
    """

    breeds: list[str]
    answers: list[list[int]]
    features: Floats
    logits: Floats
    weights: Floats

    @property
    def known(self) -> Bools:
        return np.array([bool(each) for each in self.answers])

    @property
    def unknown(self) -> Bools:
        return np.array([each in GROUPS_OF_UNKNOWN for each in self.breeds])

    @property
    def dogs(self) -> Floats:
        return self.logits[:, list(DOG_CLASSES)]

    def probabilities(self, temperature: float) -> Floats:
        return np.asarray(metrics.tempered(softmax(self.dogs), temperature))


def softmax(logits: Floats) -> Floats:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def read(folders: list[Path]) -> Photos:
    """Prepares every photo and runs the default archive's graph with two more outputs."""
    labels, names = default_labels(), default_names()
    breeds: list[str] = []
    answers: list[list[int]] = []
    images: list[npt.NDArray[np.uint8]] = []
    for folder in folders:
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                breed = row["label"].split(":")[0].lower()
                found = [labels.index(each) for each in labels_named(breed, labels, names)]
                outcome = prepare((folder / row["path"]).read_bytes(), IMAGE_SPEC)
                if isinstance(outcome, Rejection) or not (
                    found or breed in GROUPS_OF_UNKNOWN or breed == OTHER
                ):
                    continue
                images.append(np.frombuffer(outcome.pixels, np.uint8))
                breeds.append(breed)
                answers.append(found)
    shape = (-1, IMAGE_SPEC.size, IMAGE_SPEC.size, 3)
    return Photos(breeds, answers, *last_layer(np.stack(images).reshape(shape)))


def last_layer(images: npt.NDArray[np.uint8]) -> tuple[Floats, Floats, Floats]:
    with tempfile.TemporaryDirectory() as temporary:
        extract_archive(DEFAULT_ARCHIVE, Path(temporary) / "content")
        graph = onnx.load(str(Path(temporary) / "content" / WEIGHTS_NAME))
    layer = [node for node in graph.graph.node if node.op_type == "Gemm"][-1]
    wanted = [layer.input[0], layer.output[0], layer.input[1]]
    for name in wanted:
        graph.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    runs = [session.run(wanted, {"images": images[i : i + 8]}) for i in range(0, len(images), 8)]
    weights = np.asarray(runs[0][2], np.float64)
    features = np.concatenate([run[0] for run in runs]).astype(np.float64)
    logits = np.concatenate([run[1] for run in runs]).astype(np.float64)
    return features, logits, weights if weights.shape[0] == logits.shape[1] else weights.T


def scores(photos: Photos, temperature: float) -> dict[str, Floats]:
    """How familiar each photo looks, by each abstention; higher is more familiar."""
    shares, dogs = photos.probabilities(temperature), photos.dogs
    ordered = -np.sort(-shares, axis=1)
    few = ordered[:, :20]
    directions = photos.weights[list(DOG_CLASSES)]
    lengths = np.linalg.norm(photos.features, axis=1)[:, None] * np.linalg.norm(directions, axis=1)
    return {
        "largest probability (Hendrycks, Gimpel 2017; sets of LAC, Sadinle 2019)": ordered[:, 0],
        "margin of the two largest": ordered[:, 0] - ordered[:, 1],
        "entropy": (shares * np.log(np.maximum(shares, 1e-30))).sum(axis=1),
        "energy (Liu 2020)": np.log(np.exp(dogs).sum(axis=1)),
        "largest logit (Hendrycks 2022)": dogs.max(axis=1),
        "GEN, 20 largest, 0.1 (Liu 2023)": -(few**0.1 * (1 - few) ** 0.1).sum(axis=1),
        "cosine to the nearest class": (photos.features @ directions.T / lengths).max(axis=1),
        "lead over the next 9": leads(shares, rule(9)),
        "lead over the next 19": leads(shares, rule(19)),
        "lead over the next 39": leads(shares, rule(39)),
        "lead over all others": leads(shares, rule(117)),
    }


def rule(rivals: int) -> Unknown:
    return Unknown("unknown", rivals, (0.0,), 1)


def auroc(known: Floats, unknown: Floats) -> float:
    above = known[:, None] > unknown[None]
    return float((above + 0.5 * (known[:, None] == unknown[None])).mean())


def threshold(known: Floats) -> float:
    """The highest score below which at most LOST of new known photos are expected.

    Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World" (2005): the k-th lowest of n
    for k = LOST (n + 1), rounded down.
    """
    return float(np.sort(known)[int(LOST * (len(known) + 1)) - 1])


def cross_fitted(score: Floats, photos: Photos, confident: Bools) -> tuple[float, float, float]:
    """Thresholds from one half of the known photos, judged by the other half and the unknown ones.

    Returns the shares of known photos lost, and of unknown ones named, all and with CONFIDENT.
    """
    generator, known = np.random.default_rng(0), np.nonzero(photos.known)[0]
    found = []
    for _ in range(HALVES):
        order = generator.permutation(known)
        half = len(order) // 2
        for fitted, judged in ((order[:half], order[half:]), (order[half:], order[:half])):
            least = threshold(score[fitted])
            named = score[photos.unknown] >= least
            both = named & confident[photos.unknown]
            found.append(((score[judged] < least).mean(), named.mean(), both.mean()))
    lost, named, both = np.mean(found, axis=0)
    return float(lost), float(named), float(both)


def calibration(photos: Photos) -> dict[str, float]:
    """Returns the temperature of all photos, and the error of temperatures fitted on others."""
    single = np.nonzero([len(each) == 1 for each in photos.answers])[0]
    raw = softmax(photos.dogs)[single]
    truth = np.array([photos.answers[place][0] for place in single])
    errors = [folded_error(raw, truth, 10, seed) for seed in range(10)]
    print(f"error, fitted on the other folds of 10: {min(errors):.4f} to {max(errors):.4f}")
    return {
        "temperature": round(metrics.fit_temperature(raw, truth), 2),
        "photos": len(truth),
        "ece_before": round(metrics.expected_calibration_error(raw, truth), 4),
        "ece_cross_fitted": round(float(np.mean(errors)), 4),
    }


def folded_error(raw: Floats, truth: npt.NDArray[np.int64], count: int, seed: int) -> float:
    fold = np.random.default_rng(seed).permutation(len(truth)) % count
    after = np.array(raw)
    for number in range(count):
        one = fold == number
        after[one] = metrics.tempered(raw[one], metrics.fit_temperature(raw[~one], truth[~one]))
    return metrics.expected_calibration_error(after, truth)


def group_counts(photos: Photos, shares: Floats, refused: Bools) -> dict[str, list[int]]:
    """Returns how many photos of each kind there are, have a group, and have a wrong one."""
    groups, labels = default_groups(), default_labels()
    right = [
        groups.of[labels[answer[0]]] if answer else GROUPS_OF_UNKNOWN.get(breed)
        for breed, answer in zip(photos.breeds, photos.answers, strict=True)
    ]
    named = groups_of(shares, labels, groups)
    sure = np.array([each is not None for each in named])
    wrong = np.array([each != true for each, true in zip(named, right, strict=True)]) & sure
    kinds = {
        "known": photos.known,
        "unknown": photos.unknown,
        "unknown_and_refused": photos.unknown & refused,
    }
    return {
        kind: [int(these.sum()), int((sure & these).sum()), int((wrong & these).sum())]
        for kind, these in kinds.items()
    }


def compare(photos: Photos, temperature: float, confident: Bools) -> None:
    """Prints the errors of each abstention at the same loss."""
    for name, score in scores(photos, temperature).items():
        lost, named, both = cross_fitted(score, photos, confident)
        print(
            f"{name:72} AUROC {auroc(score[photos.known], score[photos.unknown]):.3f}  "
            f"lost {lost:.3f}  named {named:.3f}, confidently {both:.3f}"
        )


def fitted_rule(photos: Photos, lead: Floats, confident: Bools) -> dict[str, object]:
    """Returns the threshold of all known photos and its errors; prints those of each breed."""
    least = threshold(lead[photos.known])
    named = lead >= least
    for breed in sorted(GROUPS_OF_UNKNOWN):
        these = np.array([each == breed for each in photos.breeds])
        print(f"  {breed}: {(named & confident & these).sum()} of {these.sum()} named")
    others = ~photos.known & ~photos.unknown
    passes = np.asarray(softmax(photos.logits)[:, list(DOG_CLASSES)].sum(axis=1) >= GATE.minimum)
    lost, _, cross_named = cross_fitted(lead, photos, confident)
    lowest = np.sort(lead[photos.known])
    return {
        "lowest_leads": [round(each, 2) for each in lowest[lowest <= least].tolist()],
        "known": int(photos.known.sum()),
        "known_lost": int((~named & photos.known).sum()),
        "known_lost_cross_fitted": round(lost, 3),
        "unknown": int(photos.unknown.sum()),
        "unknown_confident_before": int((confident & photos.unknown).sum()),
        "unknown_named": int((named & confident & photos.unknown).sum()),
        "unknown_named_cross_fitted": round(cross_named, 3),
        "others": int(others.sum()),
        "others_named": int((named & passes & others).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="write model/default/calibration.json")
    given = parser.parse_args()
    photos = read(given.folders)
    fitted = calibration(photos)
    shares = photos.probabilities(fitted["temperature"])
    confident = shares.max(axis=1) >= CONFIDENT
    compare(photos, fitted["temperature"], confident)
    lead = leads(shares, rule(RIVALS))
    unknown = fitted_rule(photos, lead, confident)
    refused = lead < threshold(lead[photos.known])
    result = fitted | {"unknown": unknown, "groups": group_counts(photos, shares, refused)}
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if given.write:
        CALIBRATION_FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
