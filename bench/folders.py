"""Makes a realistic folder: content twice, names of all kinds, one file in twenty broken."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from bench.drop import PHOTOS

NAMES = (
    "plain",
    "with space",
    "plus+sign",
    "per%20cent",
    "ümlaut é",
    "🐶 dog",
    "a=b&c",
    "'quoted'",
)
BROKEN_SHARE = 20  # one in so many


def make_folder(destination: Path, count: int, photos: Path = PHOTOS) -> dict[str, bool]:
    """Fills it with ``count`` files. Returns their relative names, and whether they are broken."""
    originals = [path for path in sorted(photos.rglob("*")) if path.is_file() and _is_photo(path)]
    made: dict[str, bool] = {}
    for number in range(count):
        original = originals[number % len(originals)]
        broken = number % BROKEN_SHARE == BROKEN_SHARE - 1
        folder = f"part {number % 7}" if number % 3 else "."
        name = f"{folder}/{NAMES[number % len(NAMES)]} {number:05}{original.suffix}"
        path = destination / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = original.read_bytes()
        path.write_bytes(next(_breakings(content, number)) if broken else content)
        made[path.relative_to(destination).as_posix()] = broken
    return made


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp") and not any(
        word in path.name for word in ("cut", "web_page", "truncated")
    )


def _breakings(content: bytes, seed: int) -> Iterator[bytes]:
    """One of the ways in which files are broken."""
    kind = seed // BROKEN_SHARE % 4
    if kind == 0:
        yield content[: len(content) // 2]
    elif kind == 1:
        yield b""
    elif kind == 2:
        yield b"<html>not found</html>"
    else:
        yield random.Random(seed).randbytes(2000)  # noqa: S311 - broken in the same way every time
