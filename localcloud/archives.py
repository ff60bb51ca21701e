"""Zip what SAM has built once for all functions that share it.

`sam deploy` zips the folder of every function, although nine have the same files, and reads the
template seven times with PyYAML's slow reader: of its 12 s of CPU time these were 10. It takes
archives as they are, and a template in JSON.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

_FUNCTION = "AWS::Serverless::Function"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_FAST = 1  # the archive travels within this machine
_MODE = 0o100755  # of every file, as SAM has it
_UNIX = 3


class _Loader(yaml.CSafeLoader):
    """Reads a template as SAM does: a date is a text."""


_Loader.add_constructor(_TIMESTAMP, lambda _, node: node.value)


def pack(template: Path) -> Path:
    """Zip the folders of a built template's functions; write a template that names the archives.

    Args:
        template: the `template.yaml` that `sam build` wrote, which has no short forms (`!Ref`).

    Returns:
        The other template, `template.json` in the same folder.
    """
    written = template.read_text()
    read: dict[str, Any] = yaml.load(written, _Loader)  # noqa: S506 - a safe one  # nosec B506
    for resource in read["Resources"].values():
        if resource["Type"] == _FUNCTION:
            properties = resource["Properties"]
            folder = template.parent / properties["CodeUri"]
            properties["CodeUri"] = _archive(folder, template.parent).name
    packed = template.with_suffix(".json")
    packed.write_text(json.dumps(read))
    return packed


def _archive(folder: Path, beside: Path) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    archive = beside / f"{_digest(folder, files)}.zip"
    if not archive.exists():
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as zipped:
            for path in files:
                # Without a time: the same files are the same archive, which is not deployed again.
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.create_system = _UNIX
                entry.external_attr = _MODE << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                zipped.writestr(entry, path.read_bytes(), compresslevel=_FAST)
    return archive


def _digest(folder: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
