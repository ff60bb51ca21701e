"""How the model is best run: threads, spinning, images a run. Behind model/serving's settings.

    python -m bench.onnx_runs

`1 thread` and `2 threads` are one run at a time with that many threads inside of it; `2 x 1` are
two runs at a time with one thread each, which is what the endpoint does on two cores. `paced` is
one image every 20 ms, as on an endpoint that is not full.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from archive.reading import WEIGHTS_NAME, extract_archive
from model.package import DEFAULT_ARCHIVE

# Name, threads inside a run, spinning, runs at a time.
SETTINGS = (
    ("1 thread", 1, False, 1),
    ("2 threads", 2, False, 1),
    ("2 threads, spinning", 2, True, 1),
    ("2 x 1 thread", 1, False, 2),
)


def session(weights: Path, threads: int, spinning: bool) -> onnxruntime.InferenceSession:
    """A session with these settings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


def measure(
    model: onnxruntime.InferenceSession, images: np.ndarray, at_a_time: int, pause_seconds: float
) -> tuple[float, float, float]:
    """Images a second, CPU milliseconds an image, median milliseconds a run."""
    model.run(None, {"images": images})
    latencies: list[float] = []
    cpu, started = time.process_time(), time.perf_counter()

    def work() -> None:
        while time.perf_counter() - started < 1.0:
            begun = time.perf_counter()
            model.run(None, {"images": images})
            latencies.append(time.perf_counter() - begun)
            time.sleep(pause_seconds)

    threads = [threading.Thread(target=work) for _ in range(at_a_time)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count = len(latencies) * len(images)
    return (
        count / (time.perf_counter() - started),
        1000 * (time.process_time() - cpu) / count,
        1000 * statistics.median(latencies),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        card = extract_archive(DEFAULT_ARCHIVE, Path(folder) / "archive")
        weights = Path(folder) / "archive" / WEIGHTS_NAME
        models = {name: session(weights, threads, spin) for name, threads, spin, _ in SETTINGS}
    size = card.image_spec.size
    pixels = np.random.default_rng(0).integers(0, 256, (32, size, size, 3), dtype=np.uint8)
    cases = [(images, 0.0) for images in (1, 2, 4, 8, 16, 32)] + [(1, 0.02)]
    found: dict[tuple[str, int, float], list[tuple[float, float, float]]] = {}
    for _ in range(rounds):
        for images, pause in cases:
            for name, _, _, at_a_time in SETTINGS:
                figures = measure(models[name], pixels[:images], at_a_time, pause)
                found.setdefault((name, images, pause), []).append(figures)
    print(f"{'setting':<21}{'images/run':>12}{'images/s':>10}{'CPU ms/image':>14}{'ms/run':>8}")
    for (name, images, pause), rows in found.items():
        per_second, cpu_ms, run_ms = (
            statistics.median(column) for column in zip(*rows, strict=True)
        )
        paced = " paced" if pause else ""
        print(f"{name:<21}{f'{images}{paced}':>12}{per_second:>10.1f}{cpu_ms:>14.2f}{run_ms:>8.1f}")


if __name__ == "__main__":
    main()
