"""Damaged JPEGs: how many are found, and how many intact photos are refused.

    .venv/bin/python -m bench.damaged FOLDER ... [--photos 40]

Whole photos are every JPEG of the folders, and each again as tools write it: optimised,
progressive, with restart markers, without its end, with a text or a film in the place of its end.
Damages are made here in the coded data of some of them, by what disks, transfers and editors do.
A file counts as found if `prepare` rejects it.
"""

from __future__ import annotations

import argparse
import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from imaging import ImageSpec, Prepared, prepare
from imaging.formats.jpeg_scans import SOS, segments

SPEC = ImageSpec(224, 256, "center", "bicubic", (127.0,) * 3, (128.0,) * 3, "NHWC")
SECTOR_BYTES = 512
END_OF_IMAGE = b"\xff\xd9"
TRAILERS = {
    "a text instead of its end": b"<html><body>404 Not Found</body></html>\r\n" * 20,
    "a film instead of its end": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(range(256)) * 20,
}
Damage = Callable[[bytes, random.Random], bytes]


def hole(fill: Callable[[int, random.Random], bytes]) -> Damage:
    """Overwrites 1 to 32 sectors."""

    def damage(coded: bytes, chance: random.Random) -> bytes:
        start, length = sectors(coded, chance)
        return coded[:start] + fill(length, chance)[:length] + coded[start + length :]

    return damage


def sectors(coded: bytes, chance: random.Random) -> tuple[int, int]:
    """Place and length of some sectors inside the coded data; half of it at most."""
    length = SECTOR_BYTES * chance.choice([1, 2, 8, 32])
    length = min(length, len(coded) // 2)
    return chance.randrange(len(coded) // 8, len(coded) - length), length


def swap(coded: bytes, chance: random.Random) -> bytes:
    start, length = sectors(coded, chance)
    other = (start + length + len(coded) // 3) % (len(coded) - length)
    first, second = sorted((start, other))
    if second < first + length:
        first, second = 0, len(coded) - length
    swapped = coded[second : second + length], coded[first : first + length]
    between = coded[first + length : second]
    return coded[:first] + swapped[0] + between + swapped[1] + coded[second + length :]


def lose(coded: bytes, chance: random.Random) -> bytes:
    start, length = sectors(coded, chance)
    return coded[:start] + coded[start + length :]


def repeat(coded: bytes, chance: random.Random) -> bytes:
    start, length = sectors(coded, chance)
    return coded[: start + length] + coded[start:]


def cut(coded: bytes, chance: random.Random) -> bytes:
    return coded[: chance.randrange(len(coded) // 8, len(coded) - 16)]


def cut_and_filled(coded: bytes, chance: random.Random) -> bytes:
    return cut(coded, chance).ljust(len(coded), b"\0")


def other_half(coded: bytes, chance: random.Random) -> bytes:
    """The rest comes from another place of the file, as after a wrong recovery of a disk."""
    start = chance.randrange(len(coded) // 8, len(coded) // 2)
    return coded[:start] + coded[: len(coded) - start]


def flip(count: int) -> Damage:
    def damage(coded: bytes, chance: random.Random) -> bytes:
        changed = bytearray(coded)
        for _ in range(count):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        return bytes(changed)

    return damage


DAMAGES: dict[str, Damage] = {
    "hole of zeros": hole(lambda length, _: bytes(length)),
    "hole of 0xFF": hole(lambda length, _: b"\xff" * length),
    "hole of noise": hole(lambda length, chance: chance.randbytes(length)),
    "hole of text": hole(lambda length, _: b"<p>404 Not Found</p>\n" * (length // 20 + 1)),
    "sectors swapped": swap,
    "sectors lost": lose,
    "sectors repeated": repeat,
    "cut off, end appended": cut,
    "cut off, filled with zeros": cut_and_filled,
    "second half from elsewhere": other_half,
    "line ends changed (FTP)": lambda coded, _: coded.replace(b"\n", b"\r\n"),
    "bytes above 127 replaced (text)": lambda coded, _: coded.decode("utf-8", "replace").encode(),
    "16 bits flipped": flip(16),
    "1 bit flipped": flip(1),
}


def coded_range(jpeg: bytes) -> tuple[int, int]:
    """From behind the first scan's header to the end of the image."""
    start = next(start + 4 + len(body) for marker, start, body in segments(jpeg) if marker == SOS)
    end = jpeg.find(END_OF_IMAGE, start)
    return start, end if end >= 0 else len(jpeg)


def as_written(photo: bytes) -> Iterator[tuple[str, bytes]]:
    """The photo, and the same picture in files of other kinds."""
    yield "as it is", photo
    image = Image.open(io.BytesIO(photo + END_OF_IMAGE))
    options: dict[str, dict[str, object]] = {
        "optimised": {"optimize": True},
        "progressive": {"progressive": True},
        "restart markers": {"restart_marker_rows": 1},
        "quality 98, 4:4:4": {"quality": 98, "subsampling": 0},
    }
    for kind, settings in options.items():
        file = io.BytesIO()
        image.convert("L" if image.mode == "L" else "RGB").save(file, "JPEG", **settings)
        yield kind, file.getvalue()
    yield "without its end", file.getvalue()[:-2]
    for name, trailer in TRAILERS.items():
        yield name, file.getvalue()[:-2] + trailer


def photos(folders: list[Path]) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        if data.startswith(b"\xff\xd8\xff"):
            yield path, data


def check_whole(folders: list[Path]) -> list[bytes]:
    """Prints what is refused; returns the photos that are not."""
    counts: Counter[str] = Counter()
    good = []
    for path, data in photos(folders):
        counts["photos"] += 1
        outcome = prepare(data, SPEC)
        if not isinstance(outcome, Prepared):
            print(f"refused: {path}: {outcome.reason}, {outcome.detail}")
            continue
        good.append(data)
        for kind, again in as_written(data):
            counts["files"] += 1
            outcome = prepare(again, SPEC)
            if not isinstance(outcome, Prepared):
                print(f"refused: {path} {kind}: {outcome.reason}, {outcome.detail}")
    print(f"{counts['photos']} photos, {len(good)} prepared; of them {counts['files']} files")
    return good


def check_damaged(good: list[bytes], count: int) -> None:
    chance = random.Random(11)  # noqa: S311 - the same damages in every run
    kinds = ("as it is", "progressive", "restart markers")
    found: Counter[tuple[str, str]] = Counter()
    made: Counter[tuple[str, str]] = Counter()
    trailed: Counter[str] = Counter()
    for photo in chance.sample(good, min(count, len(good))):
        for kind, data in as_written(photo):
            if kind not in kinds:
                continue
            start, end = coded_range(data)
            for name, damage in DAMAGES.items():
                damaged = data[:start] + damage(data[start:end], chance)
                if damaged == data[:end]:
                    continue
                made[name, kind] += 1
                found[name, kind] += is_found(damaged + END_OF_IMAGE)
                trailed.update(each for each in TRAILERS if is_found(damaged + TRAILERS[each]))
    print(f"{'found of damaged':34}" + "".join(f"{kind:>18}" for kind in kinds))
    for name in DAMAGES:
        cells = [f"{found[name, kind]} of {made[name, kind]}" for kind in kinds]
        print(f"{name:34}" + "".join(f"{cell:>18}" for cell in cells))
    print(f"all: {found.total()} of {made.total()}, {found.total() / made.total():.1%}")
    for name in TRAILERS:
        print(f"all, {name}: {trailed[name]} of {made.total()}")


def is_found(damaged: bytes) -> bool:
    return not isinstance(prepare(damaged, SPEC), Prepared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--photos", type=int, default=40, help="how many of them are damaged")
    arguments = parser.parse_args()
    check_damaged(check_whole(arguments.folders), arguments.photos)


if __name__ == "__main__":
    main()
