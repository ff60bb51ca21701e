"""Rows of features survive kills, crashes and other processes, and belong to their photos."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from training.data.feature_store import FeatureStore

WIDTH = 5
# Appends rows of the numbers given, a few at a time; with a third argument it is killed half way.
WRITER = """
import os, signal, sys
from pathlib import Path
from tests.unit.training.test_feature_store import digest, row
import numpy as np
from training.data.feature_store import FeatureStore
store = FeatureStore(Path(sys.argv[1]))
numbers = eval(sys.argv[2])
for start in range(0, len(numbers), 3):
    some = numbers[start : start + 3]
    store.append([digest(each) for each in some], np.stack([row(each) for each in some]))
    if len(sys.argv) > 3 and start > len(numbers) // 2:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def row(number: int) -> npt.NDArray[np.float32]:
    """The features of a photo, which say whose they are."""
    return np.full(WIDTH, number, np.float32)


def write(folder: Path, numbers: range | list[int]) -> FeatureStore:
    store = FeatureStore(folder)
    store.append([digest(each) for each in numbers], np.stack([row(each) for each in numbers]))
    return store


def read(folder: Path, numbers: range | list[int]) -> list[float]:
    taken = FeatureStore(folder).rows_of([digest(each) for each in numbers]).take(slice(None))
    assert (taken == taken[:, :1]).all()
    return taken[:, 0].tolist()


def writer(folder: Path, numbers: str, *kill: str) -> subprocess.Popen[bytes]:
    search = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, str(folder), numbers, *kill]
    return subprocess.Popen(command, env=os.environ | search)


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    write(tmp_path, range(10))
    write(tmp_path, [12, 11])

    assert read(tmp_path, [11, 3, 12, 3]) == [11, 3, 12, 3]


def test_photo_that_is_known_keeps_its_row(tmp_path: Path) -> None:
    store = write(tmp_path, range(4))
    store.append([digest(2), digest(9)], np.stack([row(77), row(9)]))

    assert len(FeatureStore(tmp_path)) == 5
    assert read(tmp_path, [2, 9]) == [2, 9]


def test_unknown_photo_has_no_row(tmp_path: Path) -> None:
    store = write(tmp_path, range(4))

    assert digest(4) not in store
    with pytest.raises(KeyError):
        store.rows_of([digest(4)])


def test_killed_writer_leaves_what_it_had_appended(tmp_path: Path) -> None:
    killed = writer(tmp_path, "range(60)", "kill")
    assert killed.wait(60) == -signal.SIGKILL

    kept = [each for each in range(60) if digest(each) in FeatureStore(tmp_path)]
    assert kept == list(range(36))
    write(tmp_path, range(60))
    assert read(tmp_path, range(60)) == list(range(60))
    assert len(FeatureStore(tmp_path)) == 60


def test_two_processes_at_once_mix_no_rows(tmp_path: Path) -> None:
    processes = [
        writer(tmp_path, "range(0, 400)"),
        writer(tmp_path, "[n for n in range(600, 200, -1)]"),
    ]
    assert [each.wait(60) for each in processes] == [0, 0]

    assert len(FeatureStore(tmp_path)) == 601
    assert read(tmp_path, range(601)) == list(range(601))


@pytest.mark.parametrize("cut", [1, 4 * WIDTH, 4 * WIDTH + 1])
def test_rows_that_a_crash_did_not_write_are_unknown(tmp_path: Path, cut: int) -> None:
    write(tmp_path, range(6))
    os.truncate(tmp_path / "values", 6 * 4 * WIDTH - cut)
    left = 5 if cut <= 4 * WIDTH else 4

    assert [digest(each) in FeatureStore(tmp_path) for each in range(6)].count(True) == left
    write(tmp_path, [8])
    assert read(tmp_path, [*range(left), 8]) == [*range(left), 8]


def test_half_an_entry_of_the_index_is_overwritten(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    os.truncate(tmp_path / "index", (tmp_path / "index").stat().st_size - 7)

    write(tmp_path, [5, 6])

    assert read(tmp_path, [0, 1, 5, 6]) == [0, 1, 5, 6]
    assert digest(2) not in FeatureStore(tmp_path)


@pytest.mark.parametrize("header", [b"", b"imagedrop", b"x" * 32, b"\xff" * 32])
def test_damaged_header_says_what_to_do(tmp_path: Path, header: bytes) -> None:
    write(tmp_path, range(3))
    content = (tmp_path / "index").read_bytes()
    (tmp_path / "index").write_bytes(header + content[32:] if header else b"damaged" * 9)

    with pytest.raises(OSError, match="remove it"):
        FeatureStore(tmp_path)


@pytest.mark.parametrize("width", [0, 1 << 40])
def test_width_of_a_damaged_index_is_not_believed(tmp_path: Path, width: int) -> None:
    write(tmp_path, range(3))
    content = (tmp_path / "index").read_bytes()
    (tmp_path / "index").write_bytes(content[:24] + width.to_bytes(8, "little") + content[32:])

    with pytest.raises(OSError, match="remove it"):
        FeatureStore(tmp_path)


def test_values_cut_after_the_index_was_read_are_not_mapped(tmp_path: Path) -> None:
    store = write(tmp_path, range(6))
    os.truncate(tmp_path / "values", 4)

    with pytest.raises(OSError, match="remove"):
        store.rows_of([digest(5)])


def test_rows_of_another_length_are_refused(tmp_path: Path) -> None:
    store = write(tmp_path, range(6))

    with pytest.raises(OSError, match="5 numbers instead of 6"):
        store.append([digest(9)], np.zeros((1, 6), np.float32))


def test_blocks_are_all_rows_in_order(tmp_path: Path) -> None:
    stored = write(tmp_path, range(10)).rows_of([digest(each) for each in range(10)])

    blocks = list(stored.blocks([9, 1, 4, 3, 2], size=2))

    assert [len(each) for each in blocks] == [2, 2, 1]
    assert np.concatenate(blocks)[:, 0].tolist() == [9, 1, 4, 3, 2]


def test_empty_store_has_no_rows(tmp_path: Path) -> None:
    stored = FeatureStore(tmp_path / "none").rows_of([])

    assert (len(stored), stored.take(slice(None)).shape) == (0, (0, 0))
    assert not (tmp_path / "none").exists()
