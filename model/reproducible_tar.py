"""Writes tar.gz files that are the same bytes on every machine and Python, whenever they are built.

They are not compressed: weights hardly compress, and git stores two versions of an uncompressed
archive as one and a small difference.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

# 1980-01-01T00:00:00Z, which every tool accepts.
_MODIFIED_SECONDS = 315_532_800
# RFC 1951, 3.2.4: a stored block has a length of 16 bits.
_STORED_BLOCK_BYTES = 65_535


def tar_gz(contents: Mapping[str, bytes]) -> bytes:
    """Returns the archive of files by name, in the order of `contents`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            member.mtime = _MODIFIED_SECONDS
            tar.addfile(member, io.BytesIO(content))
    return _stored_gzip(buffer.getvalue())


def write_whole(destination: Path, content: bytes) -> Path:
    """Replaces a file so that readers never see a part of it; returns `destination`."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    unfinished = destination.with_name(destination.name + ".unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(destination)
    return destination


def _stored_gzip(content: bytes) -> bytes:
    """Returns a gzip file (RFC 1952) of stored blocks; zlib and zlib-ng cut them differently."""
    header = b"\x1f\x8b\x08\x00" + b"\x00" * 4 + b"\x00\xff"
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return b"".join([header, *_stored_blocks(content), trailer])


def _stored_blocks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _STORED_BLOCK_BYTES):
        block = content[start : start + _STORED_BLOCK_BYTES]
        is_last = start + _STORED_BLOCK_BYTES >= len(content)
        yield struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF)
        yield block
