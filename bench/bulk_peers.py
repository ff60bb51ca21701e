"""A folder to rows with ours, Ray Data, Daft and a script of two threads, on the same two cores.

    .venv/bin/python -m bench.bulk --peers [--photos FOLDER] [--count 400] [--rounds 2]

The same files and the same model (ONNX Runtime, one thread a session), in turn. Engines are up and
have worked over a few other files before their clock starts, as our local cloud is and has; what
they start for each job, such as Ray's actors and our transform job's container, is in their time,
and so is loading the model. Ours reads from an S3 and writes into a DynamoDB that are emulated on
the same cores; the peers read the disk, and write Parquet or SQLite. Every way must end with one
row for each file, and the table says how many broken files it gave a label. CPU is read from the
operating system for all processes of a way.

The floor is the work that every way needs: preparing the images and running the model.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from archive.reading import extract_archive
from bench.bulk_run import run_bulk
from bench.cpu_by_role import cpu_by_role
from bench.drop import PHOTOS, a_cloud
from bench.folders import make_folder
from bench.peer_model import Model
from bench.standing import OURS, Bar, Section
from imagedrop.target import Target, local_target
from imagedrop.uploads import Upload, upload_all
from imaging import ImageSpec, Prepared, prepare
from localcloud.cloud import Cloud

ROOT = Path(__file__).parents[1]
ARCHIVE = ROOT / "functions" / "default_model" / "model.tar.gz"
CORES = 2
PEERS = {
    "Ray Data": (ROOT / ".tools/ray/bin/python", "bench.ray_batch"),
    "Daft": (ROOT / ".tools/daft/bin/python", "bench.daft_batch"),
    "two threads": (Path(sys.executable), "bench.two_threads"),
}
# As `imagedrop bulk start --chunk-images 100 --wave-images 400`: both cores have chunks to prepare,
# and a job, which starts in a second here, overlaps with the next wave.
SETTINGS = {"chunk_images": 100, "wave_images": 400}
# As many chunks of files as functions work at once, for each to have a warm process.
WARM_UP_IMAGES = 40
WARM_UP_SETTINGS = SETTINGS | {"chunk_images": 10}


@dataclass(frozen=True, slots=True)
class Result:
    """One run of a way. ``cpu_ms`` is an image's, by the role of a process.

    ``missed``: broken files that it gave a label.
    """

    seconds: float
    cpu_ms: dict[str, float]
    missed: int


@dataclass(frozen=True, slots=True)
class Folder:
    """The files, and which of them are broken; the files before; the model for the peers."""

    path: Path
    made: dict[str, bool]
    warm_up: Path
    made_for_warm_up: dict[str, bool]
    model_dir: Path

    @property
    def bytes_a_file(self) -> float:
        return statistics.mean((self.path / name).stat().st_size for name in self.made)


def compare(photos: Path, count: int, rounds: int) -> None:
    """Runs every way in turn, and prints the table."""
    with tempfile.TemporaryDirectory() as temporary:
        report(*run(Path(temporary), photos, count, rounds))


def standing(count: int = 300, rounds: int = 1) -> Section:
    """Measures images a second of every way, for the page of all sections."""
    with tempfile.TemporaryDirectory() as temporary:
        results, folder, floor = run(Path(temporary), PHOTOS, count, rounds)
        kilobytes = folder.bytes_a_file / 1000
    values = {name: [count / each.seconds for each in runs] for name, runs in results.items()}
    medians = {name: statistics.median(each) for name, each in values.items()}
    cpu = ", ".join(
        f"{name} {statistics.median(sum(each.cpu_ms.values()) for each in runs):.0f}"
        for name, runs in results.items()
    )
    return Section(
        "bulk",
        "A folder to rows on two cores",
        "images/s",
        values,
        [
            Bar("ours / Ray Data ≥ 1.5", medians[OURS] / medians["Ray Data"], 1.5, True),
            Bar("ours / two threads ≥ 0.6", medians[OURS] / medians["two threads"], 0.6, True),
        ],
        1000 * CORES / floor,
        more_is_better=True,
        notes=[
            f"{count} files of {kilobytes:.0f} kB. CPU ms an image: {cpu}.",
            "The floor is the most that the cores can do: preparing and the model's run alone.",
        ],
    )


def run(
    temporary: Path, photos: Path, count: int, rounds: int
) -> tuple[dict[str, list[Result]], Folder, float]:
    """Runs every way in turn; returns results by way, the folder, and the floor in CPU ms."""
    if missing := [name for name, (python, _) in PEERS.items() if not python.exists()]:
        raise SystemExit(
            f"{missing} are missing: make .tools/ray/.installed .tools/daft/.installed"
        )
    with _two_cores(), a_cloud() as running:
        model_dir = temporary / "model"
        spec = extract_archive(ARCHIVE, model_dir).image_spec
        folder = _folder(temporary, count, photos, model_dir)
        floor = floor_ms(folder, spec)
        target = local_target(running)
        _upload(target, folder.warm_up, folder.made_for_warm_up, "folders/warm-up/")
        run_bulk(target, folder.made_for_warm_up, "folders/warm-up/", **WARM_UP_SETTINGS)
        ways: dict[str, Callable[[int], Result]] = {
            OURS: lambda round_: ours(running, target, folder, round_),
            **{name: lambda _, name=name: peer(name, folder) for name in PEERS},
        }
        results: dict[str, list[Result]] = {name: [] for name in ways}
        for round_ in range(rounds):
            for name, way in ways.items():
                results[name].append(way(round_))
                print(f"  {name}: {results[name][-1].seconds:.1f} s", flush=True)
        return results, folder, floor


@contextmanager
def _two_cores() -> Iterator[None]:
    """Leaves this process, and so all that it starts, two cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:CORES])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _folder(temporary: Path, count: int, photos: Path, model_dir: Path) -> Folder:
    path, warm_up = temporary / "photos", temporary / "warm-up"
    return Folder(
        path,
        make_folder(path, count, photos),
        warm_up,
        make_folder(warm_up, WARM_UP_IMAGES, photos),
        model_dir,
    )


def _upload(target: Target, path: Path, made: dict[str, bool], prefix: str) -> None:
    uploads = [Upload(path / name, prefix + name) for name in made]
    list(upload_all(target.client("s3"), target.images_bucket, uploads))


def floor_ms(folder: Folder, spec: ImageSpec) -> float:
    """CPU of preparing an image and of the model's run, in one thread of one process."""
    model = Model(folder.model_dir)
    model.answers(np.zeros((8, spec.size, spec.size, 3), np.uint8))
    began = time.process_time()
    waiting: list[np.ndarray] = []
    for name in folder.made:
        outcome = prepare((folder.path / name).read_bytes(), spec)
        if isinstance(outcome, Prepared):
            pixels = np.frombuffer(outcome.pixels, np.uint8)
            waiting.append(pixels.reshape(spec.size, spec.size, 3))
    model.answers(np.stack(waiting))
    return 1000 * (time.process_time() - began) / len(folder.made)


def ours(running: Cloud, target: Target, folder: Folder, round_: int) -> Result:
    """A bulk run over a copy of the folder that has no rows yet."""
    prefix = f"folders/bench-{round_}/"
    _upload(target, folder.path, folder.made, prefix)
    # The functions' processes are the emulator's children, the containers the stand-in's.
    roots = {
        each.pid: "function" if each.name == "emulator" else "model" for each in running.processes
    }

    def cpu() -> Counter[str]:
        return cpu_by_role(roots, _our_role)

    before, began = cpu(), time.perf_counter()
    run_bulk(target, folder.made, prefix=prefix, **SETTINGS)
    seconds = time.perf_counter() - began
    return Result(seconds, _an_image(cpu() - before, folder), missed=0)


def _our_role(command: list[str]) -> str:
    words = " ".join(command)
    marks = {
        "decoder_process": "decoder",
        "--model-dir": "model",
        "localcloud.emulator": "emulator",
        "localcloud.sagemaker": "stand-in",
    }
    return next((role for mark, role in marks.items() if mark in words), "function")


def peer(name: str, folder: Folder) -> Result:
    """A run of another way, in a process of its own environment."""
    python, module = PEERS[name]
    with tempfile.TemporaryDirectory() as out:
        process = subprocess.Popen(
            [python, "-m", module, folder.warm_up, folder.path, folder.model_dir, out],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # Daft names each file that it cannot read
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            _wait_for("ready", name, process.stdout.readline())

            def cpu() -> Counter[str]:
                return cpu_by_role({process.pid: "workers"}, _peer_role)

            before, began = cpu(), time.perf_counter()
            print("go", file=process.stdin, flush=True)
            _wait_for("done", name, process.stdout.readline())
            seconds, after = time.perf_counter() - began, cpu()
            rows = json.loads(process.stdout.readline())
    if rows.keys() != folder.made.keys() or any(
        rows[file] is None for file, broken in folder.made.items() if not broken
    ):
        raise SystemExit(f"{name}: not one row for each file")
    missed = sum(rows[file] is not None for file, broken in folder.made.items() if broken)
    return Result(seconds, _an_image(after - before, folder), missed)


def _peer_role(command: list[str]) -> str:
    if any("bench." in word for word in command):
        return "script"
    return "workers" if any("ray::" in word for word in command) else "daemons"


def _wait_for(word: str, name: str, line: str) -> None:
    if line.strip() != word:
        raise SystemExit(f"{name} said {line!r} and not {word!r}")


def _an_image(seconds: Counter[str], folder: Folder) -> dict[str, float]:
    return {role: 1000 * each / len(folder.made) for role, each in seconds.items()}


def report(results: dict[str, list[Result]], folder: Folder, floor: float) -> None:
    count = len(folder.made)
    rounds = len(results[OURS])
    print(
        f"{count} files of {folder.bytes_a_file / 1000:.0f} kB ({sum(folder.made.values())} "
        f"broken), {CORES} cores, medians of {rounds} interleaved rounds"
    )
    print(
        f"{'':12} {'seconds':>8} {'images/s':>9} {'ours is':>8} {'CPU ms':>7}  an image, by process"
    )
    seconds = {
        name: statistics.median(each.seconds for each in runs) for name, runs in results.items()
    }
    for name, runs in results.items():
        roles = sorted({role for run in runs for role in run.cpu_ms})
        cpu = {role: statistics.median(run.cpu_ms.get(role, 0.0) for run in runs) for role in roles}
        told = ", ".join(f"{role} {ms:.1f}" for role, ms in cpu.items())
        print(
            f"{name:12} {seconds[name]:8.1f} {count / seconds[name]:9.1f}"
            f" {seconds[name] / seconds[OURS]:7.2f}x {sum(cpu.values()):7.1f}  {told}"
            + (f"; labelled {runs[0].missed} broken files" if runs[0].missed else "")
        )
    print(
        f"floor: {floor:.1f} ms of CPU an image to prepare it and to run the model, "
        f"{1000 * CORES / floor:.0f} images/s at most"
    )
