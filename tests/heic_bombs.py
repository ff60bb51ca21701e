"""Hostile HEIC files, made of the small pictures in tests/heic."""

from __future__ import annotations

import dataclasses
import random
import struct
from collections.abc import Iterator
from functools import cache

from tests.heic_files import (
    Coded,
    Entry,
    alpha,
    box,
    clap,
    coded,
    file_bytes,
    full_box,
    grid,
    heic,
    irot,
    picture,
)


@cache
def heic_bombs() -> tuple[tuple[str, bytes], ...]:
    """Each with a name; the same every time."""
    makers = (_boxes, _lies, _grids, _references, _parameters, _copies, _slices, _damaged)
    return tuple(bomb for make in makers for bomb in make())


def _boxes() -> Iterator[tuple[str, bytes]]:
    start = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    yield "heic without anything", start
    yield "heic of 30000 free boxes", start + box(b"free") * 30_000
    yield "heic whose box has no end", start + struct.pack(">I4sQ", 1, b"meta", 2**63)
    yield "heic whose box is shorter than its header", start + struct.pack(">I4s", 2, b"meta")
    nested = b""
    for _ in range(2000):
        nested = full_box(b"meta", 0, nested)
    yield "heic of 2000 nested boxes", start + nested
    tile = picture(coded("tile_0"))
    yield "heic with 30000 boxes in meta", heic(tile, more=box(b"free") * 30_000)
    yield "heic of 65000 items", heic(tile, *[Entry(b"Exif", b"")] * 65_000)
    yield "heic with 200 properties", heic(picture(coded("tile_0"), *[irot(1)] * 200))


def _lies() -> Iterator[tuple[str, bytes]]:
    tile = coded("tile_0")
    for size in ((0, 0), (1, 1), (64, 63), (60_000, 60_000), (2**32 - 1, 2**32 - 1)):
        yield f"heic that says {size[0]} x {size[1]}", heic(picture(tile, size=size))
        yield (
            f"heic grid of {size[0]} x {size[1]} tiles",
            heic(grid(1, 1, (64, 64), [2]), picture(tile, size=size)),
        )
    for crop in ((0, 0, 0, 0), (60, 60, 64, 64), (-1, 0, 10, 10), (0, 0, 2**31 - 1, 1)):
        yield f"heic cropped to {crop}", heic(picture(tile, clap((64, 64), *crop)))
    by_zero = box(b"clap", struct.pack(">8I", 64, 0, 64, 0, 0, 0, 0, 0))
    yield "heic whose crop is divided by zero", heic(picture(tile, by_zero))
    yield "heic without slices", heic(picture(dataclasses.replace(tile, data=b"")))
    empty = dataclasses.replace(tile, configuration=b"")
    yield "heic without parameter sets", heic(picture(empty))


def _grids() -> Iterator[tuple[str, bytes]]:
    tile = coded("tile_0")
    for rows, columns in ((256, 256), (33, 32), (1, 256), (32, 32)):
        layout = grid(rows, columns, (64 * columns, 64 * rows), [2] * (rows * columns))
        if rows * columns < 65_536:
            yield f"heic of {rows} x {columns} times one tile", heic(layout, picture(tile))
    yield "heic grid of itself", heic(grid(1, 1, (64, 64), [1]))
    yield "heic grids of each other", heic(grid(1, 1, (64, 64), [2]), grid(1, 1, (64, 64), [1]))
    yield "heic grid without tiles", heic(grid(1, 1, (64, 64), []))
    yield "heic grid of a tile that is not there", heic(grid(1, 1, (64, 64), [9]))
    yield "heic grid larger than its tiles", heic(grid(1, 1, (4000, 4000), [2]), picture(tile))
    yield (
        "heic grid much smaller than its tiles",
        heic(grid(2, 2, (1, 1), [2, 2, 2, 2]), picture(tile)),
    )
    yield (
        "heic grid of tiles of two sizes",
        heic(grid(1, 2, (128, 64), [2, 3]), picture(tile), picture(coded("photo"))),
    )
    yield (
        "heic grid that is cut",
        heic(Entry(b"grid", b"\0\0", [], [(b"dimg", [2])], place=1), picture(tile)),
    )


def _references() -> Iterator[tuple[str, bytes]]:
    tile = coded("tile_0")
    yield "heic without its main item", heic(picture(tile), primary=9)
    yield (
        "heic whose transparency is its own",
        heic(dataclasses.replace(alpha(tile, 1), kind=b"hvc1")),
    )
    yield "heic with 500 transparencies", heic(picture(tile), *[alpha(tile)] * 500)
    yield "heic in another item", heic(dataclasses.replace(picture(tile), place=2))
    overlay = Entry(b"iovl", bytes(12), [], [(b"dimg", [2] * 1000)], place=1)
    yield "heic of a thousand pictures on each other", heic(overlay, picture(tile))
    identity = Entry(b"iden", b"", [], [(b"dimg", [1])])
    yield "heic that is itself", heic(identity)
    for kind in (b"av01", b"avc1", b"jpeg", b"unci", b"j2k1", b"tmap", b"mime"):
        yield f"heif of {kind.decode()}", heic(dataclasses.replace(picture(tile), kind=kind))


def _parameters() -> Iterator[tuple[str, bytes]]:
    """Bits flipped in the parameter sets: sizes, depths, tables and tools that are not meant."""
    tile = coded("tile_0")
    for place in range(23 * 8, len(tile.configuration) * 8, 5):
        broken = bytearray(tile.configuration)
        broken[place // 8] ^= 128 >> place % 8
        yield (
            f"heic with bit {place} of hvcC flipped",
            heic(picture(dataclasses.replace(tile, configuration=bytes(broken)))),
        )


def _copies() -> Iterator[tuple[str, bytes]]:
    """One large item that is referenced many times."""
    tile = coded("tile_0")
    long = dataclasses.replace(tile, data=_unit(tile.data[4:] + b"\x55" * 1_000_000))
    layout = grid(32, 32, (2048, 2048), [2] * 1024)
    yield "heic of 1024 times one tile of 1 MB", heic(layout, picture(long))
    layout = grid(32, 32, (2048, 2048), list(range(2, 1026)))
    yield "heic of 1024 tiles", heic(layout, *[picture(tile)] * 1024)
    for name, more in (("100 sets of 10 kB", (100, 10_000)), ("60000 empty sets", (60_000, 0))):
        heavy = dataclasses.replace(tile, configuration=more_parameters(tile, *more))
        yield f"heic of 1024 tiles with {name}", heic(layout, *[picture(heavy)] * 1024)
    kind = full_box(b"auxC", 0, bytes(1_000_000))
    auxiliary = Entry(b"hvc1", b"", [kind] * 250, [(b"auxl", [1])])
    yield "heic with 15000 kinds of 1 MB", heic(picture(tile), *[auxiliary] * 60)
    yield "heic of 500000 items without data", heic(picture(tile), more=iloc_of_nothing(500_000))


def more_parameters(tile: Coded, count: int, length: int) -> bytes:
    """The body of `hvcC` with so many more picture parameter sets of so many bytes."""
    body, unit = bytearray(tile.configuration), b"\x44\x01" + b"\x55" * length
    body[22] += 1
    sets = (struct.pack(">H", len(unit)) + unit) * count
    return bytes(body) + b"\x22" + struct.pack(">H", count) + sets


def iloc_of_nothing(count: int) -> bytes:
    """Locates that many items, each without a part."""
    return full_box(b"iloc", 2, b"\0\0", struct.pack(">I", count), bytes(10) * count)


def _slices() -> Iterator[tuple[str, bytes]]:
    tile = coded("tile_0")
    for name, data in (
        ("the picture twice", tile.data * 2),
        ("the picture 700 times", tile.data * 700),
        ("700 more slices", tile.data + _more_slices(tile) * 700),
        ("500 more slices", tile.data + _more_slices(tile) * 500),
        ("a unit that is longer than the file", b"\x7f\xff\xff\xff" + tile.data[4:]),
        ("30000 empty units", bytes(4) * 30_000 + tile.data),
        ("slices that need other pictures", tile.data[:4] + b"\x02" + tile.data[5:]),
        ("random slices", _unit(tile.data[4:8] + random.Random(3).randbytes(5000))),  # noqa: S311
    ):
        yield f"heic with {name}", heic(picture(dataclasses.replace(tile, data=data)))


def _more_slices(tile: Coded) -> bytes:
    """The slice again, as if it did not begin a picture."""
    unit = bytearray(tile.data[4:])
    unit[2] &= 0x7F
    return _unit(bytes(unit))


def _unit(unit: bytes) -> bytes:
    return struct.pack(">I", len(unit)) + unit


def _damaged() -> Iterator[tuple[str, bytes]]:
    whole = file_bytes("photo")
    for share in (0.01, 0.05, 0.3, 0.6, 0.99):
        yield f"heic, {share:.0%} of it", whole[: int(share * len(whole))]
    for seed in range(24):
        choose = random.Random(f"heic {seed}")  # noqa: S311 - repeatable, not secret
        broken = bytearray(whole)
        end = len(broken) if seed % 2 else 400
        for _ in range(1 + seed):
            broken[choose.randrange(end)] ^= 1 << choose.randrange(8)
        yield f"heic, {1 + seed} bits flipped ({seed})", bytes(broken)
