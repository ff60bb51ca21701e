"""Preparing images, side by side with torchvision's transforms on PIL images.

    PYTHONPATH=functions python bench/prepare.py [FOLDER ...]

Prints, for photo-like 12-megapixel and 500 x 375 JPEGs made here and for every JPEG of the folders:
CPU time of both (median, the two taken in turns), the mean and the largest difference of their
pixels, and the peak of memory above that of the process before. Each photo is measured in a
fresh process: earlier photos' remains in the heap change the reference's time by a third.
Needs torchvision and Linux.
"""

import argparse
import io
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

from imaging import ImageSpec, Prepared, prepare

SPECS = {
    "bilinear 256/224": ImageSpec(
        224, 256, "center", "bilinear", (124.0, 116.0, 104.0), (58.0, 57.0, 57.0), "NHWC"
    ),
    "bicubic 256/224": ImageSpec(224, 256, "center", "bicubic", (127.0,) * 3, (128.0,) * 3, "NHWC"),
}
LARGE_PIXELS = 6_000_000


def photo_like(width: int, height: int, orientation: int, quality: int = 90) -> bytes:
    """A JPEG with edges and texture at every scale (power about 1/f, as photographs have)."""
    source = random.Random(width)  # noqa: S311 - the same picture in every run
    picture = Image.new("RGB", (width, height), (110, 120, 105))
    for octave in range(1, 9):
        cells = (2**octave * 4, 2**octave * 3)
        noise = Image.frombytes("RGB", cells, source.randbytes(cells[0] * cells[1] * 3))
        texture = noise.resize((width, height), Image.Resampling.BICUBIC)
        picture = Image.blend(picture, texture, 0.45 / octave**0.5)
    leaves = picture.filter(ImageFilter.UnsharpMask(radius=2, percent=80))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    leaves.save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


def reference(spec: ImageSpec) -> Callable[[bytes], bytes]:
    """Returns a typical training script's steps: orient, RGB, Resize, CenterCrop on PIL images."""
    from torchvision.transforms import (  # type: ignore[import-untyped]  # noqa: PLC0415
        CenterCrop,
        Compose,
        InterpolationMode,
        Resize,
    )

    transforms = Compose(
        [Resize(spec.resize, InterpolationMode(spec.interpolation)), CenterCrop(spec.size)]
    )

    def run(data: bytes) -> bytes:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        cropped: Image.Image = transforms(image)
        return cropped.tobytes()

    return run


def ours(spec: ImageSpec) -> Callable[[bytes], bytes]:
    def run(data: bytes) -> bytes:
        outcome = prepare(data, spec)
        assert isinstance(outcome, Prepared), outcome
        return outcome.pixels

    return run


def difference(left: bytes, right: bytes) -> tuple[float, int]:
    """Mean and largest absolute difference, levels 0..255."""
    differences = [abs(a - b) for a, b in zip(left, right, strict=True)]
    return sum(differences) / len(differences), max(differences)


def cpu_ms(run: Callable[[bytes], bytes], data: bytes) -> float:
    start = time.process_time()
    run(data)
    return (time.process_time() - start) * 1000


def measure_cpu_ms(data: bytes, spec: ImageSpec, rounds: int) -> tuple[float, float]:
    """Median CPU milliseconds of the reference and of ours."""
    runs = [reference(spec), ours(spec)]
    times: list[list[float]] = [[], []]
    for turn in range(rounds + 1):
        for which in random.sample([0, 1], 2):
            taken = cpu_ms(runs[which], data)
            if turn:  # the first one warms up
                times[which].append(taken)
    return statistics.median(times[0]), statistics.median(times[1])


def measure_peak_mb(run: Callable[[bytes], bytes], data: bytes) -> float:
    """Peak of resident memory above the one before, MB."""
    run(photo_like(64, 48, 1))  # imports and buffers that every image shares
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status_mb("VmRSS")
    run(data)
    return _status_mb("VmHWM") - before


def _status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no {field} in /proc/self/status")


def in_fresh_process(measurement: str, data: bytes, spec: ImageSpec, rounds: int) -> list[float]:
    child = subprocess.run(
        [sys.executable, __file__, "--child", measurement, json.dumps(spec.to_json()), str(rounds)],
        input=data,
        capture_output=True,
        check=True,
    )
    figures: list[float] = json.loads(child.stdout)
    return figures


def answer_as_child(measurement: str, spec_json: str, rounds: str) -> None:
    spec, data = ImageSpec.from_json(json.loads(spec_json)), sys.stdin.buffer.read()
    if measurement == "cpu":
        print(json.dumps(measure_cpu_ms(data, spec, int(rounds))))
    else:
        run = (ours if measurement == "peak-ours" else reference)(spec)
        print(json.dumps([measure_peak_mb(run, data)]))


def report(name: str, data: bytes, spec: ImageSpec, rounds: int) -> tuple[float, float]:
    """Prints one line; returns the mean difference and the speed ratio."""
    mean, largest = difference(reference(spec)(data), ours(spec)(data))
    reference_ms, ours_ms = in_fresh_process("cpu", data, spec, rounds)
    (reference_mb,) = in_fresh_process("peak-reference", data, spec, 1)
    (ours_mb,) = in_fresh_process("peak-ours", data, spec, 1)
    print(
        f"{name[:44]:44} {reference_ms:6.1f} -> {ours_ms:5.1f} ms {reference_ms / ours_ms:4.1f}x"
        f"  difference {mean:.3f} / {largest}  peak {reference_mb:3.0f} -> {ours_mb:4.1f} MB",
        flush=True,
    )
    return mean, reference_ms / ours_ms


def run_made_here(rounds: int) -> None:
    for spec_name, spec in SPECS.items():
        print(f"\nmade here, {spec_name}: reference -> ours")
        for width, height, orientation in [(4032, 3024, 1), (4032, 3024, 6), (500, 375, 1)]:
            data = photo_like(width, height, orientation)
            name = f"{width} x {height}, orientation {orientation}, {len(data):,} bytes"
            report(name, data, spec, rounds)


def run_folder(folder: Path, rounds: int) -> None:
    for spec_name, spec in SPECS.items():
        print(f"\n{folder}, {spec_name}: reference -> ours")
        large: list[tuple[float, float]] = []
        small: list[tuple[float, float]] = []
        for path in sorted(folder.rglob("*")):
            data = path.read_bytes() if path.is_file() else b""
            outcome = prepare(data, spec)
            if isinstance(outcome, Prepared) and outcome.format == "JPEG":
                is_large = outcome.width * outcome.height >= LARGE_PIXELS
                (large if is_large else small).append(report(path.name, data, spec, rounds))
        summarise("6 megapixels and more", large)
        summarise("smaller", small)


def summarise(kind: str, rows: list[tuple[float, float]]) -> None:
    if rows:
        means, ratios = zip(*rows, strict=True)
        print(
            f"{kind}: {len(rows)} files, difference {statistics.mean(means):.3f} on average and "
            f"{max(means):.3f} at most, speed {statistics.median(ratios):.1f}x (median)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        answer_as_child(*arguments.child)
        return
    run_made_here(arguments.rounds)
    for folder in arguments.folders:
        run_folder(folder, arguments.rounds)


if __name__ == "__main__":
    main()
