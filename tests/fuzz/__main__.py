"""Fuzzes every parser of untrusted input for a bounded time: `make fuzz SECONDS=60`.

    .venv/bin/python -m tests.fuzz [--seconds 60] [--target image] [--photos FOLDER]

Each target gets its share of the seconds, 5 s an input and 1,024 MB. Inputs that break a promise
are saved in tests/fuzz/crashes, where `make test` tries them from then on; the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import SEED_BYTES, TARGETS, seeds

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".tools" / "fuzz" / "bin" / "python"
CRASHES = Path(__file__).with_name("crashes")
INPUT_SECONDS = 5
# Python, Pillow, numpy and libFuzzer's own tables are about 150 MB of it.
MEMORY_MB = 1024
# Images cost a hundred times what a line of JSON does.
SHARES = {"image": 6, "npy_body": 1, "request": 1, "event": 2, "answer": 1}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=60, help="all targets together")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one")
    parser.add_argument("--photos", type=Path, help="a folder of difficult files to begin with")
    options = parser.parse_args()
    chosen = options.target or list(TARGETS)
    shares = sum(SHARES[name] for name in chosen)
    broken = [
        name
        for name in chosen
        if not fuzz(name, max(1, options.seconds * SHARES[name] // shares), options.photos)
    ]
    if broken:
        print(f"broken: {', '.join(broken)}; the inputs are in {CRASHES}", file=sys.stderr)
    return 1 if broken else 0


def fuzz(target: str, seconds: int, photos: Path | None) -> bool:
    """Whether the target kept its promise."""
    with tempfile.TemporaryDirectory() as folder:
        begin_with(Path(folder), target, photos)
        crashes = CRASHES / target
        crashes.mkdir(parents=True, exist_ok=True)
        command = [PYTHON, "-m", "tests.fuzz.fuzz_target", target, folder]
        limits = [f"-max_total_time={seconds}", f"-max_len={SEED_BYTES}"]
        limits += [f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}"]
        ended = subprocess.run(
            [*command, *limits, f"-artifact_prefix={crashes}/", "-print_final_stats=1"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT / "functions"), str(ROOT)))},
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    figures = dict(
        line.removeprefix("stat::").split(":")
        for line in ended.stderr.splitlines()
        if line.startswith("stat::")
    )
    print(
        f"{target:9} {seconds:4} s {figures.get('number_of_executed_units', '?').strip():>9} inputs"
        f"  peak {figures.get('peak_rss_mb', '?').strip()} MB"
        f"  {'kept its promise' if ended.returncode == 0 else 'BROKEN'}",
        flush=True,
    )
    if ended.returncode:
        print(ended.stderr[-4000:], file=sys.stderr)
    elif not any(crashes.iterdir()):
        crashes.rmdir()
    return ended.returncode == 0


def begin_with(folder: Path, target: str, photos: Path | None) -> None:
    inputs = list(seeds(target))
    if photos is not None and target == "image":
        files = (path for path in sorted(photos.rglob("*")) if path.is_file())
        inputs += [path.read_bytes() for path in files if path.stat().st_size < SEED_BYTES]
    for number, data in enumerate(inputs):
        (folder / f"{number:04}").write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
