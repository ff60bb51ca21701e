"""Features on disk: one row a photo, found by the hash of the photo's bytes. It needs no torch.

A store is a folder with two files that only grow:

    values   float32, little-endian, d numbers a row
    index    a header of 32 bytes, then the sha256 of each row's photo, 32 bytes, in the same order

Rows are on the disk before the index names them, so a killed process loses only rows that it had
not appended. Writers take turns with a lock that ends with its process. A half-written row or entry
at the end of either file, left by a crash, is overwritten by the next append.
"""

from __future__ import annotations

import fcntl
import os
import struct
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

FLOAT = np.dtype("<f4")
DIGEST_BYTES = 32
LARGEST_WIDTH = 1 << 20
_HEADER = struct.Struct("<24sQ")
_MAGIC = b"imagedrop features 1".ljust(24, b"\0")
Rows = Sequence[int] | npt.NDArray[np.int64] | slice


class StoredFeatures:
    """Rows of a store, float32 [n, d], in the reader's order; read when they are taken.

    Reading leaves the file's content in the system's cache and not in this process. A map of the
    file would count as its memory: of 5 GB, with random rows, up to 3.6 GB (bench.features).

    Args:
        file: the file of values.
        width: d.
        places: n row numbers of the file, int64.

    Raises:
        OSError: the file is shorter than a place needs.
    """

    def __init__(self, file: Path, width: int, places: npt.NDArray[np.int64]) -> None:
        self._places = places
        self._path = file
        self.width = width
        if not len(places):
            return
        self._descriptor = os.open(file, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        needed = (int(places.max()) + 1) * width * FLOAT.itemsize
        if int(places.min()) < 0 or os.fstat(self._descriptor).st_size < needed:
            raise self._too_short()

    def __len__(self) -> int:
        return len(self._places)

    def take(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Copies rows, float32 [m, d]; neighbours in the file are read together.

        Raises:
            IndexError: a row is not below n.
            OSError: the file cannot be read.
        """
        places = self._places[rows]
        taken = np.empty((len(places), self.width), FLOAT)
        if not len(places):
            return taken
        begins = np.concatenate([[0], np.flatnonzero(np.diff(places) != 1) + 1, [len(places)]])
        for begin, end in pairwise(begins.tolist()):
            self._read(int(places[begin]), taken[begin:end].reshape(-1).view(np.uint8))
        return taken

    def _read(self, place: int, into: npt.NDArray[np.uint8]) -> None:
        offset, done = place * self.width * FLOAT.itemsize, 0
        while done < len(into):  # one call reads at most 2 GB
            read = os.preadv(self._descriptor, [into[done:].data], offset + done)
            if read == 0:
                raise self._too_short()
            done += read

    def _too_short(self) -> OSError:
        return OSError(f"{self._path} is damaged (shorter than its index): remove its folder")

    def blocks(self, rows: Sequence[int], size: int = 1024) -> Iterator[npt.NDArray[np.float32]]:
        """Copies rows in blocks, so that all of them are never in memory at once."""
        for start in range(0, len(rows), size):
            yield self.take(np.asarray(rows[start : start + size], np.int64))


class FeatureStore:
    """The store in a folder; an empty one where there is none.

    Several processes may use it at once.

    Raises:
        OSError: a file cannot be read, or is not a store's.
    """

    def __init__(self, folder: Path) -> None:
        self._values, self._index = folder / "values", folder / "index"
        self._lock = folder / "lock"
        self._places: dict[bytes, int] = {}
        self._rows = 0
        self.width = 0
        """Numbers in a row; 0 before there is one."""
        self._refresh()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._places

    def __len__(self) -> int:
        return self._rows

    def append(self, digests: Sequence[bytes], values: npt.NDArray[np.float32]) -> None:
        """Adds rows, float32 [n, d], by the sha256 of their photos; known photos are left out.

        Raises:
            OSError: the disk is full, or the store has rows of another length.
            ValueError: there are not as many hashes as rows.
        """
        if values.ndim != 2 or len(digests) != len(values):
            raise ValueError(f"{len(digests)} hashes for values of shape {values.shape}")
        self._index.parent.mkdir(parents=True, exist_ok=True)
        with self._writing():
            self._refresh()  # another process may have added rows
            if self.width not in (0, values.shape[1]):
                raise self._damaged(f"rows of {self.width} numbers instead of {values.shape[1]}")
            new = {each: row for row, each in enumerate(digests) if each not in self._places}
            if new:
                self._write(list(new), np.ascontiguousarray(values[list(new.values())], FLOAT))

    def rows_of(self, digests: Sequence[bytes]) -> StoredFeatures:
        """The rows of photos, in their order.

        Raises:
            KeyError: a photo has no row.
        """
        places = np.fromiter((self._places[each] for each in digests), np.int64, len(digests))
        return StoredFeatures(self._values, self.width, places)

    def _refresh(self) -> None:
        """Reads the entries that were added since the last time."""
        try:
            with self._index.open("rb") as index:
                self._read_entries(index)
        except FileNotFoundError:
            return

    def _read_entries(self, index: BinaryIO) -> None:
        header = index.read(_HEADER.size)
        if not header:
            return  # killed before the header was written
        if len(header) < _HEADER.size or header[: len(_MAGIC)] != _MAGIC:
            raise self._damaged("no header of a feature store")
        self.width = _HEADER.unpack(header)[1]
        if not 0 < self.width <= LARGEST_WIDTH:
            raise self._damaged(f"rows of {self.width} numbers")
        stored = (
            self._values.stat().st_size // (self.width * FLOAT.itemsize)
            if self._values.exists()
            else 0
        )
        index.seek(_HEADER.size + self._rows * DIGEST_BYTES)
        entries = index.read()
        # A crash of the machine may leave an entry without its row, or half an entry.
        whole = min(len(entries) // DIGEST_BYTES, max(0, stored - self._rows))
        for number in range(whole):
            digest = entries[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]
            self._places.setdefault(digest, self._rows + number)
        self._rows += whole

    def _write(self, digests: Sequence[bytes], values: npt.NDArray[np.float32]) -> None:
        width = values.shape[1]
        with _opened(self._values) as file:
            file.seek(self._rows * width * FLOAT.itemsize)
            file.write(values.data)
            _flush(file)
        with _opened(self._index) as file:
            file.write(_HEADER.pack(_MAGIC, width))
            file.seek(_HEADER.size + self._rows * DIGEST_BYTES)
            file.write(b"".join(digests))
            file.truncate()
            _flush(file)
        self.width = width
        self._places |= {each: self._rows + row for row, each in enumerate(digests)}
        self._rows += len(digests)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Holds the lock; the system releases it when the process ends, however it ends."""
        with self._lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _damaged(self, problem: str) -> OSError:
        return OSError(f"{self._index.parent} is damaged ({problem}): remove it")


def _opened(file: Path) -> BinaryIO:
    """Opens a file to write anywhere in it; creates it if there is none."""
    return os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o644), "r+b")


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
