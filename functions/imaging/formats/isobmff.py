"""Reads boxes (ISO 14496-12), the container of AVIF and HEIF, and the data of a file's items."""

from collections.abc import Iterator
from dataclasses import dataclass

from imaging.outcome import RejectReason, Unusable

VERSION_AND_FLAGS_BYTES = 4
_IN_FILE, _IN_IDAT = 0, 1
# In a row; a file of 32 MB has room for four million, which take seconds.
_MOST_BOXES = 100_000


@dataclass(slots=True)
class Cursor:
    """A place in some bytes; reading past their end raises Unusable."""

    data: memoryview
    position: int = 0

    def uint(self, length: int) -> int:
        """Reads the next `length` bytes as a number; 0 for an absent field (length 0)."""
        return int.from_bytes(self.take(length), "big")

    def take(self, length: int) -> memoryview:
        """Reads the next `length` bytes."""
        start, self.position = self.position, self.position + length
        if self.position > len(self.data):
            raise Unusable(RejectReason.TRUNCATED, "the file ends within a box")
        return self.data[start : self.position]

    def rest(self) -> memoryview:
        """Returns the bytes that are not read yet."""
        return self.data[self.position :]


@dataclass(frozen=True, slots=True)
class ItemData:
    """The bytes of an item, as far as the file holds them."""

    data: bytes
    is_whole: bool


def boxes(data: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Yields the type of each box in a row, and start and end of its body."""
    cursor, count = Cursor(data), 0
    while cursor.position < len(data):
        count += 1
        if count > _MOST_BOXES:
            raise Unusable(RejectReason.TOO_MANY_CHUNKS, f"more than {_MOST_BOXES:,} boxes")
        begin = cursor.position
        size, name = cursor.uint(4), bytes(cursor.take(4))
        if size == 1:
            size = cursor.uint(8)
        end = begin + size if size else len(data)
        if not cursor.position <= end <= len(data):
            raise Unusable(RejectReason.TRUNCATED, "the file ends within a box")
        yield name, cursor.position, end
        cursor.position = end


def find_box(data: memoryview, wanted: bytes) -> tuple[int, int]:
    """Returns start and end of the body of the first box of this type in a row of boxes."""
    for name, start, end in boxes(data):
        if name == wanted:
            return start, end
    raise Unusable(RejectReason.CORRUPT, f"there is no {wanted.decode()} box")


def read_items(
    data: bytes, meta: memoryview, most_pieces: int
) -> Iterator[tuple[int, ItemData | None]]:
    """Yields the number and data of every item located by `meta` (the body of that box, after its
    version); None for an item made of other items.

    Items may come in several extents and overlap; together they may not be longer than the file,
    and items and extents together no more than `most_pieces`.
    """
    start, end = find_box(meta, b"iloc")
    cursor = Cursor(meta[start:end])
    version, _flags = cursor.uint(1), cursor.uint(3)
    field_lengths = cursor.uint(2)
    offset_length, length_length = field_lengths >> 12, field_lengths >> 8 & 15
    base_length, index_length = field_lengths >> 4 & 15, field_lengths & 15 if version else 0
    left, idat = len(data), next((meta[a:b] for name, a, b in boxes(meta) if name == b"idat"), b"")
    for _item in range(cursor.uint(2 if version < 2 else 4)):
        number = cursor.uint(2 if version < 2 else 4)
        place = cursor.uint(2) & 15 if version else _IN_FILE
        cursor.uint(2)  # another file to look into, which libavif and libheif do not support
        base = cursor.uint(base_length)
        source = idat if place == _IN_IDAT else data if place == _IN_FILE else b""
        parts, is_whole, extents = [], True, cursor.uint(2)
        most_pieces -= 1 + extents
        if most_pieces < 0:
            raise Unusable(RejectReason.TOO_MANY_CHUNKS, "too many items or parts of items")
        for _extent in range(extents):
            cursor.uint(index_length)
            offset, length = base + cursor.uint(offset_length), cursor.uint(length_length)
            end = offset + length if length else max(offset, len(source))
            parts.append(source[offset:end])
            is_whole = is_whole and end <= len(source)
            left -= len(parts[-1])
            if left < 0:
                raise Unusable(RejectReason.TOO_MANY_CHUNKS, "the items are longer than the file")
        known = place in (_IN_FILE, _IN_IDAT)
        yield number, ItemData(b"".join(parts), is_whole) if known else None
