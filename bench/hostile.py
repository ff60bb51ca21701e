"""Hostile files and their verdicts: CPU time, memory, and whether the next image works.

    .venv/bin/python -m bench.hostile [--photos FOLDER]

Without a folder: the bombs of tests/bombs.py. Times are CPU seconds of the process that decodes;
memory is its peak, all files together.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from pathlib import Path

from PIL import Image

from imaging import ImageSpec, Prepared
from imaging.decoder import Decoder
from tests.bombs import bombs
from training.data.check import CHECK_SPEC


def cpu_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def peak_mb(process_id: int) -> float:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, help="a folder of difficult files")
    folder = parser.parse_args().photos
    files = (
        ((path.name, path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file())
        if folder
        else bombs()
    )
    report(dict(files), CHECK_SPEC)


def report(files: dict[str, bytes], spec: ImageSpec) -> None:
    decoder, good = Decoder(), io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(good, "JPEG")
    verdicts: Counter[str] = Counter()
    slowest, lost, peak = ("", 0.0), 0, 0.0
    decoder.prepare(good.getvalue(), spec)
    for name, data in files.items():
        process_id = decoder.process_id or 0
        before = cpu_seconds(process_id)
        outcome = decoder.prepare(data, spec)
        verdicts["prepared" if isinstance(outcome, Prepared) else outcome.reason] += 1
        assert isinstance(decoder.prepare(good.getvalue(), spec), Prepared), name
        if decoder.process_id != process_id:
            lost += 1
            continue
        seconds = cpu_seconds(process_id) - before
        slowest = max(slowest, (name, seconds), key=lambda each: each[1])
        peak = max(peak, peak_mb(process_id))
    decoder.close()
    print(f"{len(files)} files, {lost} processes ended; the next image worked after each")
    print(f"slowest: {slowest[1]:.2f} s of CPU ({slowest[0]}); peak {peak:.0f} MB")
    print("  ".join(f"{verdict} {count}" for verdict, count in verdicts.most_common()))


if __name__ == "__main__":
    main()
