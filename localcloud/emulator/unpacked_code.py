"""A matter of speed: each environment of a function unpacks its bundle, and compiles its modules.

On AWS every environment has the same read-only files. Here too: they are unpacked once a bundle,
and Python's compiled modules lie beside them, so that only the first environment compiles them.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from localcloud.emulator import patching

_SPAWN_LOOKS = "c55febf95656"
_CODE_FOLDER = "code"  # of an environment; layers have other names
_one_at_a_time = threading.Lock()


def install() -> None:
    """Let environments of the same bundle share its files."""
    runtime = patching.module("core.lambda_runtime")
    # Pinned, because it unpacks with this module's `zipfile` and writes nothing into the folder.
    patching.replace(runtime.Worker, "_spawn", _SPAWN_LOOKS, lambda spawn: spawn)
    runtime.zipfile = SimpleNamespace(
        ZipFile=_Bundle,
        BadZipFile=zipfile.BadZipFile,
        LargeZipFile=zipfile.LargeZipFile,
    )


class _Bundle(zipfile.ZipFile):
    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        """Link to the bundle's files instead of writing them again."""
        folder = Path(path)
        if folder.name != _CODE_FOLDER:
            super().extractall(path, members, pwd)
            return
        unpacked = self._unpacked()
        folder.rmdir()
        folder.symlink_to(unpacked, target_is_directory=True)

    def _unpacked(self) -> Path:
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        folder = Path(tempfile.gettempdir()) / "unpacked" / digest
        with _one_at_a_time:
            if not folder.exists():
                unfinished = folder.with_suffix(".new")
                super().extractall(unfinished)
                unfinished.rename(folder)
        return folder
