"""One dropped image, from its event to its row: alone, and while others are dropped.

    .venv/bin/python -m bench.latency [--alone 40] [--rate 10] [--seconds 15]

On the local cloud, with the real template and its event source mapping, and once more as it was
before: batches of 40 with a window of a second. The event is when the message came into the queue;
S3's own part and AWS's network are not in it. The first images of each way warm it up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.drop import FOLDER_VARIABLE, PHOTOS, Function, a_cloud, photos
from imagedrop.estimates.stack import BATCH_IMAGES
from imagedrop.target import Target, local_target

HANDLER = [Path(__file__).parent / name for name in ("classify_steps.py", "timed_classify.py")]
PATIENCE_SECONDS = 60.0
WARM_UP = 20
PARTS = ("in the queue", "read", "prepare", "call", "write", "rest")


@dataclass(frozen=True, slots=True)
class Mapping:
    name: str
    batch_size: int
    window_seconds: int


MAPPINGS = (
    Mapping("as in the template", BATCH_IMAGES, 0),
    Mapping("40 a batch, a window of 1 s", 40, 1),
)


@dataclass(frozen=True, slots=True)
class Timed:
    """An image: when its message was sent, and when its row was written; its batch."""

    sent: float
    written: float
    began: float
    ended: float
    batch_images: int
    seconds: dict[str, float]

    @property
    def waited(self) -> float:
        return self.written - self.sent

    def parts(self) -> dict[str, float]:
        """Seconds by part, of an image that is alone in its batch."""
        known = {"in the queue": self.began - self.sent, **self.seconds}
        return known | {"rest": self.waited - sum(known.values())}


class Stack:
    """The deployed stack, with the function that writes its times into a folder."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target, self._folder = target, folder
        self._read_bytes: defaultdict[Path, int] = defaultdict(int)
        self._found: dict[str, Timed] = {}
        self._s3 = target.client("s3")
        self._function = Function(target)
        self._function.add_to_bundle(HANDLER)
        self._function.change("timed_classify.handler", {FOLDER_VARIABLE: str(folder)})

    def use(self, mapping: Mapping) -> None:
        self._function.change_mapping(mapping.batch_size, mapping.window_seconds)

    def put(self, path: Path) -> str:
        key = f"incoming/{uuid.uuid4().hex}{path.suffix}"
        self._s3.put_object(Bucket=self.target.images_bucket, Key=key, Body=path.read_bytes())
        return key

    def timed(self, keys: Sequence[str]) -> dict[str, Timed]:
        """Waits until all of them have their row. Each line is read once: looking costs little."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while missing := [key for key in keys if key not in self._found]:
            if time.monotonic() > give_up:
                raise SystemExit(f"{len(missing)} photos have no row")
            time.sleep(0.01)
            self._found.update(self._lines())
        return {key: self._found[key] for key in keys}

    def _lines(self) -> Iterator[tuple[str, Timed]]:
        """The images of the lines that were written since the last call."""
        for path in self._folder.iterdir():
            with path.open("rb") as file:
                file.seek(self._read_bytes[path])
                for text in file:
                    if not text.endswith(b"\n"):
                        break
                    self._read_bytes[path] += len(text)
                    yield from _images(json.loads(text))


def _images(line: dict[str, Any]) -> Iterator[tuple[str, Timed]]:
    for key, written in line["written"].items():
        yield (
            key,
            Timed(
                line["sent"][key],
                written,
                line["began"],
                line["ended"],
                len(line["sent"]),
                line["seconds"],
            ),
        )


def alone(stack: Stack, paths: Sequence[Path]) -> list[Timed]:
    """Each is dropped when the one before it has its row."""
    found = []
    for path in paths:
        key = stack.put(path)
        found.append(stack.timed([key])[key])
    return found


def at_a_rate(stack: Stack, paths: Sequence[Path], per_second: float) -> list[Timed]:
    """They are dropped at a fixed rate, whatever their results."""
    keys: list[str] = []
    threads = []
    began = time.monotonic()
    for number, path in enumerate(paths):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        thread = threading.Thread(target=lambda path=path: keys.append(stack.put(path)))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    return list(stack.timed(keys).values())


def report(mapping: Mapping, name: str, found: Sequence[Timed]) -> None:
    waited = sorted(each.waited for each in found)
    p99 = statistics.quantiles(waited, n=100, method="inclusive")[98]
    images = statistics.mean(1 / each.batch_images for each in found)
    print(
        f"{mapping.name}, {name}: p50 {1000 * statistics.median(waited):.0f} ms, "
        f"p99 {1000 * p99:.0f} ms; {1 / images:.1f} images a batch, {len(found)} images",
        flush=True,
    )


def report_parts(found: Sequence[Timed]) -> None:
    median = {part: statistics.median(each.parts()[part] for each in found) for part in PARTS}
    print("  medians, ms: " + ", ".join(f"{part} {1000 * s:.1f}" for part, s in median.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, default=PHOTOS / "pug.jpg")
    parser.add_argument("--alone", type=int, default=40)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    folder = options.photos if options.photos.is_dir() else options.photos.parent
    chosen = [options.photos] if options.photos.is_file() else photos(folder, options.alone)
    with a_cloud() as running, tempfile.TemporaryDirectory() as times:
        stack = Stack(local_target(running), Path(times))
        for mapping in MAPPINGS:
            stack.use(mapping)
            at_a_rate(stack, _cycle(chosen, WARM_UP), 1000.0)
            lonely = alone(stack, _cycle(chosen, options.alone))
            report(mapping, "alone", lonely)
            report_parts(lonely)
            many = _cycle(chosen, round(options.rate * options.seconds))
            loaded = at_a_rate(stack, many, options.rate)
            report(mapping, f"at {options.rate:g} images/s", loaded)


def _cycle(paths: Sequence[Path], count: int) -> list[Path]:
    return [paths[index % len(paths)] for index in range(count)]


if __name__ == "__main__":
    main()
