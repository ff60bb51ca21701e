"""Preparing a photo of 12 megapixels: CPU beside torchvision, Pillow, OpenCV, pyvips, simplejpeg.

    .venv/bin/python -m bench.preparations [--photo FILE] [--rounds 3]

Each way runs in a fresh process in each round, in turn. Parity is the mean difference of the pixels
to torchvision's transforms on PIL images, in levels of 255: a way is comparable up to 0.5.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.preparation_ways import WAYS
from bench.prepare import difference, photo_like
from bench.standing import OURS, Bar, Section

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".tools/peers/bin/python"
REFERENCE = "torchvision"
IN_PEERS = ("OpenCV", "pyvips", "simplejpeg", "simplejpeg, twice")
PARITY_LEVELS = 0.5
REPEATS = 5  # in each process


def standing(rounds: int = 3, photo: Path | None = None) -> Section:
    """Measures all ways.

    Raises:
        SystemExit: the peers are not installed.
    """
    if not PEERS.exists():
        raise SystemExit("the other libraries are missing: make .tools/peers/.installed")
    with tempfile.TemporaryDirectory() as folder:
        file = photo or Path(folder, "photo.jpg")
        if photo is None:
            file.write_bytes(photo_like(4032, 3024, 1))
        values: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                values[way].append(_cpu_ms(way, file, Path(folder, way)))
        reference = Path(folder, REFERENCE).read_bytes()
        parity = {way: difference(reference, Path(folder, way).read_bytes())[0] for way in WAYS}
    if parity[OURS] > PARITY_LEVELS:
        raise SystemExit(f"our pixels differ from torchvision's by {parity[OURS]:.2f} levels")
    medians = {way: statistics.median(each) for way, each in values.items()}
    alike = [way for way in WAYS if way != OURS and parity[way] <= PARITY_LEVELS]
    best = min(medians[way] for way in alike)
    told = ", ".join(f"{way} {levels:.2f}" for way, levels in parity.items())
    return Section(
        "prepare",
        "Preparing a photo of 12 megapixels",
        "CPU ms",
        values,
        [
            Bar("torchvision / ours ≥ 4.5", medians[REFERENCE] / medians[OURS], 4.5, True),
            Bar("best of equal parity / ours ≥ 1", best / medians[OURS], 1.0, True),
        ],
        notes=[f"Mean difference to torchvision's pixels, in levels of 255: {told}."],
    )


def _cpu_ms(way: str, file: Path, pixels: Path) -> float:
    done = subprocess.run(
        [
            *(PEERS if way in IN_PEERS else sys.executable, "-m", "bench.preparation_ways"),
            *(way, file, str(REPEATS), pixels),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"},
        capture_output=True,
        check=True,
    )
    return statistics.median(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photo", type=Path, help="a JPEG of yours; else a made one")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(standing(options.rounds, options.photo).text())


if __name__ == "__main__":
    main()
