"""``python -m tools.hashes``: write the hashes of every pinned package beside its pin.

uv asks the package index that pip is configured for; hashes are of all files of a version, so that
they hold on each processor, system and Python. What is hashed already is left alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools.requirement_files import PROJECT, Pin, canonical, entries, hashed_files, pins

LINT = PROJECT / ".tools" / "lint" / "bin"
OLDEST_PYTHON = "3.11"


def main() -> int:
    for path in hashed_files():
        content = path.read_text()
        if all(pin.hashes for pin in pins(content)):
            continue
        print(f"· {path.relative_to(PROJECT)}", file=sys.stderr)
        path.write_text(with_hashes(content, resolved(path)))
    return 0


def with_hashes(content: str, known: dict[tuple[str, str], tuple[str, ...]]) -> str:
    """A requirement file's content with the hashes of `known`: canonical name, version → hashes.

    Raises:
        KeyError: a pin is not among them.
    """
    lines = []
    for entry in entries(content):
        if isinstance(entry, Pin):
            hashes = known[canonical(entry.name), entry.version]
            lines.append(" \\\n    ".join([entry.requirement, *(f"--hash={h}" for h in hashes)]))
        else:
            lines.append(entry)
    return "\n".join(lines) + "\n"


def resolved(path: Path) -> dict[tuple[str, str], tuple[str, ...]]:
    """The hashes of every file of every pinned version.

    Raises:
        subprocess.CalledProcessError: the index lacks a version, or cannot be reached.
    """
    done = subprocess.run(
        [
            str(LINT / "uv"),
            *("pip", "compile", "--quiet", "--no-deps", "--universal", "--generate-hashes"),
            *("--no-header", "--no-annotate", "--python-version", OLDEST_PYTHON, str(path)),
        ],
        env=os.environ | _index(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {(canonical(pin.name), pin.version): pin.hashes for pin in pins(done.stdout)}


def _index() -> dict[str, str]:
    """uv does not read pip's configuration; the address is passed on and written nowhere."""
    done = subprocess.run(
        [str(LINT / "python"), "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,  # there is none
    )
    return {"UV_DEFAULT_INDEX": done.stdout.strip()} if done.returncode == 0 else {}


if __name__ == "__main__":
    sys.exit(main())
