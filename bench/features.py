"""Fits a head on features that are larger than its allowed memory.

    python -m bench.features --rows 1000000

Writes random features of `--rows` photos into a store (5 KB each on the disk of `--folder`), and
trains a head on them in a process of its own. Figures: seconds of writing, of a pass over all rows
and of an epoch, and the largest resident memory of that process, mapped pages included.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

from training.data.dataset import DataSet, LabelledImage
from training.data.feature_store import FeatureStore
from training.data.features import Features, FeatureTable
from training.data.partition import partition
from training.loop.checkpoint import Checkpoint
from training.loop.fitting import fit_once
from training.loop.prepared import Prepared
from training.networks.network import build_network, image_spec
from training.settings import TrainSettings
from training.watch.profile import Preparation

CLASSES, WIDTH, ROWS_A_WRITE = 100, 1280, 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="a disk with room; a temporary one by default")
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fit:
        fit(given.fit, given.rows, given.batch_size, given.epochs)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        began = perf_counter()
        write(Path(folder), given.rows)
        print(f"{given.rows:,} rows written in {perf_counter() - began:.1f} s")
        command = [sys.executable, "-m", "bench.features", *sys.argv[1:], "--fit", folder]
        subprocess.run(command, check=True)


def digest(row: int) -> bytes:
    return hashlib.sha256(row.to_bytes(8, "little")).digest()


def write(folder: Path, rows: int) -> None:
    """Each row is its class's mean with noise; row r is of class r % CLASSES."""
    random = np.random.default_rng(1)
    means = random.standard_normal((CLASSES, WIDTH), np.float32)
    store = FeatureStore(folder / "store")
    for start in range(0, rows, ROWS_A_WRITE):
        some = range(start, min(start + ROWS_A_WRITE, rows))
        noise = random.standard_normal((len(some), WIDTH), np.float32)
        store.append([digest(row) for row in some], means[np.array(some) % CLASSES] + 3 * noise)


def fit(folder: Path, rows: int, batch_size: int, epochs: int) -> None:
    """Prints the time and memory of the fit's process."""
    began = perf_counter()
    prepared = made(folder, rows)
    parts = partition(prepared.images, 1, prepared.first_alike)
    print(f"opened in {perf_counter() - began:.1f} s, {memory_mb():.0f} MB")
    began = perf_counter()
    for _ in prepared.features.values.blocks(parts.train):
        pass
    print(f"one pass over the rows to train on: {perf_counter() - began:.1f} s")
    settings = replace(SETTINGS, batch_size=batch_size, epochs=epochs)
    began, cpu = perf_counter(), process_time()
    fitted = fit_once(prepared, settings, parts, (), Checkpoint(None, ""))
    print(
        f"{epochs} epochs of {len(parts.train):,} rows by {batch_size}, measured on "
        f"{len(parts.valid):,}: {perf_counter() - began:.1f} s, {process_time() - cpu:.1f} s of "
        f"CPU, top-1 {fitted.state.kept.valid_top1:.3f}"
    )
    print(f"largest resident memory: {memory_mb():.0f} MB")


SETTINGS = TrainSettings(data=Path("photos"), backbone="efficientnet_lite0", weights="random")


def made(folder: Path, rows: int) -> Prepared:
    """The result of `prepare` for as many photos, without the photos."""
    network = build_network(SETTINGS.backbone, SETTINGS.weights, CLASSES)
    images = tuple(
        LabelledImage(Path(f"photos/{row % CLASSES:03}/{row:07}.jpg"), row % CLASSES, None)
        for row in range(rows)
    )
    classes = tuple(f"{each:03}" for each in range(CLASSES))
    stored = FeatureStore(folder / "store").rows_of([digest(row) for row in range(rows)])
    return Prepared(
        data=DataSet(Path("photos"), classes, images),
        manifest_sha256="",
        network=network,
        backbone_sha256="",
        spec=image_spec(SETTINGS.backbone),
        features=Features(FeatureTable(stored), tuple(range(rows)), {}),
        images=images,
        digests=tuple(digest(row).hex() for row in range(rows)),
        looks=(None,) * rows,
        first_alike=tuple(range(rows)),
        labels=torch.arange(rows) % CLASSES,
        device=torch.device("cpu"),
        preparation=Preparation(0, 0, 0, 0, 0, 0, 0, computed=0),
    )


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
