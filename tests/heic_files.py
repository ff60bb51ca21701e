"""Writes HEIC files from the coded pictures in tests/heic, and reads those."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "heic"


@dataclass(frozen=True)
class Coded:
    """A picture in HEVC."""

    configuration: bytes
    """The body of `hvcC`."""
    colour: bytes
    """The body of `colr`."""
    size: tuple[int, int]
    data: bytes
    """NAL units, each after its length of 4 bytes."""


@dataclass
class Entry:
    """An item of a file: its type, data, properties and references."""

    kind: bytes
    data: bytes
    properties: list[bytes] = field(default_factory=list)
    """Boxes."""
    references: list[tuple[bytes, list[int]]] = field(default_factory=list)
    flags: int = 0
    place: int = 0
    """Where `data` is: 0 in the file, 1 in `idat`, 2 in another item."""


def file_bytes(name: str) -> bytes:
    """One of the files that tests/heic/make.py made."""
    return (FOLDER / f"{name}.heic").read_bytes()


@cache
def coded(name: str) -> Coded:
    """The picture in one of these files."""
    data = file_bytes(name)
    size = struct.unpack(">II", body(data, b"ispe")[4:])
    width, height = size
    return Coded(body(data, b"hvcC"), body(data, b"colr"), (width, height), body(data, b"mdat"))


def body(data: bytes, name: bytes) -> bytes:
    """The body of the first box of that name, wherever it is."""
    start = data.index(name)
    return data[start + 4 : start - 4 + int.from_bytes(data[start - 4 : start], "big")]


def box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + name + content


def full_box(name: bytes, version: int, *parts: bytes) -> bytes:
    """A box with a version."""
    return box(name, struct.pack(">I", version << 24), *parts)


def ispe(width: int, height: int) -> bytes:
    return full_box(b"ispe", 0, struct.pack(">II", width, height))


def irot(quarters_anticlockwise: int) -> bytes:
    return box(b"irot", bytes([quarters_anticlockwise]))


def imir(axis: int) -> bytes:
    """0 exchanges top and bottom, 1 left and right."""
    return box(b"imir", bytes([axis]))


def clap(size: tuple[int, int], left: int, top: int, width: int, height: int) -> bytes:
    """A crop of a picture of this size."""
    across, down = 2 * left + width - size[0], 2 * top + height - size[1]
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, across, 2, down, 2))


def picture(source: Coded, *more: bytes, size: tuple[int, int] | None = None) -> Entry:
    """An item of one coded picture; `size` may state a wrong size."""
    properties = [
        *(box(b"hvcC", source.configuration), ispe(*(size or source.size))),
        *(box(b"colr", source.colour), *more),
    ]
    return Entry(b"hvc1", source.data, properties)


def alpha(source: Coded, of: int = 1) -> Entry:
    """The transparency of another item."""
    kind = full_box(b"auxC", 0, b"urn:mpeg:hevc:2015:auxid:1\0")
    entry = picture(source, kind)
    entry.references.append((b"auxl", [of]))
    return entry


def grid(rows: int, columns: int, size: tuple[int, int], tiles: list[int], *more: bytes) -> Entry:
    """An item of tiles, which are other items."""
    layout = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
    return Entry(b"grid", layout, [ispe(*size), *more], [(b"dimg", tiles)], place=1)


def heic(*entries: Entry, primary: int = 1, brand: bytes = b"heic", more: bytes = b"") -> bytes:
    """A file of items, numbered from 1 on; equal properties are one; `more` are boxes in `meta`."""
    properties = list(dict.fromkeys(each for entry in entries for each in entry.properties))
    index = {each: place for place, each in enumerate(properties, 1)}
    iinf = [
        box(b"infe", struct.pack(">IHH", 2 << 24 | entry.flags, number, 0), entry.kind, b"\0")
        for number, entry in enumerate(entries, 1)
    ]
    iref = [
        box(name, struct.pack(f">HH{len(others)}H", number, len(others), *others))
        for number, entry in enumerate(entries, 1)
        for name, others in entry.references
    ]
    ipma = []
    for number, entry in enumerate(entries, 1):
        places = [index[each] | 0x8000 * _is_essential(each) for each in entry.properties]
        ipma.append(struct.pack(f">HB{len(places)}H", number, len(places), *places))
    start = box(b"ftyp", brand + b"\0\0\0\0mif1" + brand)
    before = b"".join(
        (
            full_box(b"hdlr", 0, bytes(4) + b"pict" + bytes(13)),
            full_box(b"pitm", 0, struct.pack(">H", primary)),
            full_box(b"iinf", 0, struct.pack(">H", len(entries)), *iinf),
            full_box(b"iref", 0, *iref) if iref else b"",
            box(
                b"iprp",
                box(b"ipco", *properties),
                box(b"ipma", struct.pack(">II", 1, len(entries)), *ipma),
            ),
            box(b"idat", *(entry.data for entry in entries if entry.place == 1)),
            more,
        )
    )
    iloc_bytes = 8 + 4 + 2 + 2 + 16 * len(entries)
    data_start = len(start) + 12 + len(before) + iloc_bytes + 8
    return b"".join(
        (
            start,
            full_box(b"meta", 0, before, _iloc(entries, data_start)),
            box(b"mdat", *(entry.data for entry in entries if entry.place != 1)),
        )
    )


def _is_essential(property_box: bytes) -> bool:
    return property_box[4:8] in (b"hvcC", b"irot", b"imir", b"clap", b"lsel")


def _iloc(entries: tuple[Entry, ...], data_start: int) -> bytes:
    places, next_place = [], {0: data_start, 1: 0, 2: 0}
    for number, entry in enumerate(entries, 1):
        extent = struct.pack(">HII", 1, next_place[entry.place], len(entry.data))
        places += [struct.pack(">HHH", number, entry.place, 0), extent]
        next_place[entry.place] += len(entry.data)
    return full_box(b"iloc", 1, b"\x44\x00", struct.pack(">H", len(entries)), *places)
