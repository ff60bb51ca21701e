"""The items of a HEIF file (ISO 23008-12): their types, properties, references and data."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from imaging.formats.isobmff import (
    VERSION_AND_FLAGS_BYTES,
    Cursor,
    ItemData,
    boxes,
    find_box,
    read_items,
)
from imaging.outcome import RejectReason, Unusable


@dataclass(frozen=True, slots=True)
class Property:
    """One of an item's properties."""

    name: bytes
    body: memoryview
    is_essential: bool
    """Whether a reader that does not know the property may not show the item."""


@dataclass(slots=True)
class Item:
    """A picture, a part of one, or something about one."""

    kind: bytes
    """Such as hvc1, grid, Exif; empty for an item without a type."""
    content: ItemData | None = None
    """None if it is not in this file."""
    properties: list[Property] = field(default_factory=list)
    """In the order in which they apply."""
    references: dict[bytes, list[int]] = field(default_factory=dict)
    """Numbers of other items by the reference's type."""

    def find(self, name: bytes) -> memoryview:
        """Returns the body of the first property with this name; raises Unusable without one."""
        for each in self.properties:
            if each.name == name:
                return each.body
        raise Unusable(RejectReason.CORRUPT, f"a picture without {name.decode()}")

    def data(self) -> bytes:
        """Returns the item's bytes; raises Unusable if the file does not hold all of them."""
        if self.content is None:
            raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "a picture that is not in the file")
        if not self.content.is_whole:
            raise Unusable(RejectReason.TRUNCATED, "the file ends within the picture")
        return self.content.data


@dataclass(frozen=True, slots=True)
class Container:
    """The items by their numbers."""

    primary: Item
    primary_number: int
    items: dict[int, Item]

    def item(self, number: int) -> Item:
        """Returns an item; raises Unusable if there is none."""
        if number not in self.items:
            raise Unusable(RejectReason.CORRUPT, "a reference to an item that is not there")
        return self.items[number]


class _Budget:
    """Limits how much is read, so that a small file cannot cause much work."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def spend(self, count: int = 1) -> None:
        self._left -= count
        if self._left < 0:
            raise Unusable(RejectReason.TOO_MANY_CHUNKS, f"more than {self._most:,} boxes or items")


def read_container(data: bytes, most_pieces: int) -> Container:
    """Reads the `meta` box of a HEIF file; raises Unusable."""
    meta = _find_meta(memoryview(data))
    budget = _Budget(most_pieces)
    parts: dict[bytes, memoryview] = {}
    for name, begin, finish in boxes(meta):
        budget.spend()
        parts.setdefault(name, meta[begin:finish])
    for needed in (b"pitm", b"iinf", b"iprp"):
        if needed not in parts:
            raise Unusable(RejectReason.CORRUPT, f"there is no {needed.decode()} box")
    items = _read_types(parts[b"iinf"], budget)
    _read_references(parts.get(b"iref", memoryview(b"")), items, budget)
    _read_properties(parts[b"iprp"], items, budget)
    for number, content in read_items(data, meta, most_pieces):
        if number in items:
            items[number].content = content
    primary, version = Cursor(parts[b"pitm"]), parts[b"pitm"][:1]
    primary.take(VERSION_AND_FLAGS_BYTES)
    number = primary.uint(4 if version[0] else 2)
    if number not in items:
        raise Unusable(RejectReason.CORRUPT, "the main picture is not there")
    return Container(items[number], number, items)


def _find_meta(data: memoryview) -> memoryview:
    """Returns the body of `meta` after its version; what follows that box is not looked at."""
    is_sequence = False
    for name, start, end in boxes(data):
        if name == b"meta":
            return data[start + VERSION_AND_FLAGS_BYTES : end]
        is_sequence = is_sequence or name == b"moov"
    if is_sequence:
        raise Unusable(RejectReason.UNSUPPORTED_FORMAT, "a sequence of pictures without a still")
    raise Unusable(RejectReason.CORRUPT, "there is no meta box")


def _read_types(iinf: memoryview, budget: _Budget) -> dict[int, Item]:
    cursor = Cursor(iinf)
    version, _flags = cursor.uint(1), cursor.uint(3)
    cursor.uint(4 if version else 2)
    items: dict[int, Item] = {}
    rest = cursor.rest()
    for name, start, end in boxes(rest):
        budget.spend()
        if name != b"infe":
            continue
        entry = Cursor(rest[start:end])
        version, _flags = entry.uint(1), entry.uint(3)
        number, protection = entry.uint(4 if version > 2 else 2), entry.uint(2)
        kind = b"" if version < 2 else bytes(entry.take(4))
        items[number] = Item(b"protected " + kind if protection else kind)
    return items


def _read_references(iref: memoryview, items: dict[int, Item], budget: _Budget) -> None:
    if not iref:
        return
    cursor = Cursor(iref)
    length = 4 if cursor.uint(1) else 2
    cursor.uint(3)
    rest = cursor.rest()
    for name, start, end in boxes(rest):
        reference = Cursor(rest[start:end])
        number, count = reference.uint(length), reference.uint(2)
        budget.spend(1 + count)
        others = [reference.uint(length) for _ in range(count)]
        if number in items:
            items[number].references.setdefault(name, others)


def _read_properties(iprp: memoryview, items: dict[int, Item], budget: _Budget) -> None:
    start, end = find_box(iprp, b"ipco")
    ipco, known = iprp[start:end], []
    for name, begin, finish in boxes(ipco):
        budget.spend()
        known.append((name, ipco[begin:finish]))
    for name, begin, finish in boxes(iprp):
        budget.spend()
        if name != b"ipma":
            continue
        for number, index, is_essential in _associations(Cursor(iprp[begin:finish]), budget):
            if index > len(known):
                raise Unusable(RejectReason.CORRUPT, "a reference to a property that is not there")
            if index and number in items:
                items[number].properties.append(Property(*known[index - 1], is_essential))


def _associations(ipma: Cursor, budget: _Budget) -> Iterator[tuple[int, int, bool]]:
    """Yields item, place of the property from 1 on, 0 for none, and whether it is essential."""
    version, flags = ipma.uint(1), ipma.uint(3)
    length = 2 if flags & 1 else 1
    for _entry in range(ipma.uint(4)):
        number = ipma.uint(4 if version else 2)
        count = ipma.uint(1)
        budget.spend(1 + count)
        for _association in range(count):
            value = ipma.uint(length)
            is_essential = bool(value >> (8 * length - 1))
            yield number, value & ((1 << 8 * length - 1) - 1), is_essential
