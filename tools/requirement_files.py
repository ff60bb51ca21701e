"""The requirement files, and how a pinned line of them looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[1]

# torch's wheels are others in each index (CUDA, CPU), and TORCH_OPTIONS chooses one: no list of
# hashes holds for all of them.
WITHOUT_HASHES = frozenset({"torch.txt"})
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[\w.+!-]+)(\s*;\s*(?P<marker>[^\\]+))?"
)


@dataclass(frozen=True)
class Pin:
    """One requirement: `name==version; marker`, with its hashes (`sha256:…`)."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}" + (f"; {self.marker}" if self.marker else "")


def hashed_files() -> list[Path]:
    """Every requirement file that is installed from with hashes."""
    return [
        *(
            path
            for path in sorted((PROJECT / "requirements").glob("*.txt"))
            if path.name not in WITHOUT_HASHES
        ),
        PROJECT / "functions" / "requirements.txt",
    ]


def pins(content: str) -> list[Pin]:
    """The pins of a requirement file.

    Raises:
        ValueError: a line is no exact pin.
    """
    return [each for each in entries(content) if isinstance(each, Pin)]


def entries(content: str) -> Iterator[Pin | str]:
    """Pins and, as texts, comments and empty lines, in their order.

    Raises:
        ValueError: a line is no exact pin.
    """
    for line in content.replace("\\\n", " ").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            yield text
            continue
        requirement, *options = re.split(r"\s+--hash=", text)
        found = _PIN.fullmatch(requirement.strip())
        if found is None:
            raise ValueError(f"no exact pin: {text[:100]}")
        marker = (found["marker"] or "").strip()
        yield Pin(found["name"], found["version"], marker, tuple(each.strip() for each in options))


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
