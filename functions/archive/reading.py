"""The model archive: what it says about itself, and how to open one that cannot be trusted.

`model.tar.gz` holds `model.json` (the card), `model.onnx` (the weights) and the serving code. It
never holds a pickle, so that opening one executes nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from imaging.spec import ImageSpec

CARD_NAME = "model.json"
WEIGHTS_NAME = "model.onnx"
SCHEMA = 1

# ResNet50 in fp32 is 100 MB; what is five times that is not a model of this project.
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_MEMBERS = 1000
# A card of 1,000 labels is 40 kB.
MAX_CARD_BYTES = 1024 * 1024

_FIELDS = {
    "schema",
    "name",
    "version",
    "labels",
    "image_spec",
    "gate",
    "metrics",
    "training_run",
    "weights_sha256",
}


class ArchiveError(ValueError):
    """The file is not a model archive, or not one that may be opened. The message says why."""


@dataclass(frozen=True, slots=True)
class Gate:
    """When the model says that an image shows nothing it knows."""

    label: str
    """The label of such an image."""
    minimum: float
    """The least `known` of an image that gets one of the model's labels, 0..1."""

    @classmethod
    def from_json(cls, value: object) -> Gate:
        """Reads the `gate` of a card; ArchiveError when malformed."""
        match value:
            case {"label": str(label), "minimum": int() | float() as minimum, **rest}:
                if rest or not label or isinstance(minimum, bool) or not 0 <= minimum <= 1:
                    raise ArchiveError(f"the gate needs a label and a minimum 0..1, is {value}")
                return cls(label, float(minimum))
            case _:
                raise ArchiveError(f"the gate needs a label and a minimum, is {value!r}")

    def to_json(self) -> dict[str, object]:
        """The form that `from_json` reads."""
        return {"label": self.label, "minimum": self.minimum}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything about a model but its weights and code; `model.json` in the archive."""

    name: str
    version: str
    labels: tuple[str, ...]
    """In the order of the columns of the output `probabilities`."""
    image_spec: ImageSpec
    gate: Gate | None
    """None for a model without the output `known`."""
    metrics: Mapping[str, object]
    """What was measured, and on what. JSON values only."""
    training_run: Mapping[str, object]
    """Where the weights come from. JSON values only."""
    weights_sha256: str
    """Of `model.onnx`, 64 hex digits."""

    @property
    def identity(self) -> str:
        """`name@version`, as every record names the model that answered."""
        return f"{self.name}@{self.version}"

    @classmethod
    def from_json(cls, value: object) -> ModelCard:
        """Reads a card; ArchiveError says what is wrong with it."""
        if not isinstance(value, dict) or set(value) != _FIELDS:
            found = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise ArchiveError(f"a card has the fields {sorted(_FIELDS)}, this one {found}")
        if value["schema"] != SCHEMA:
            raise ArchiveError(f"the card has schema {value['schema']!r}, {SCHEMA} can be read")
        try:
            image_spec = ImageSpec.from_json(_object(value, "image_spec"))
        except ValueError as error:
            raise ArchiveError(str(error)) from error
        return cls(
            name=_text(value, "name"),
            version=_text(value, "version"),
            labels=_labels(value["labels"]),
            image_spec=image_spec,
            gate=None if value["gate"] is None else Gate.from_json(value["gate"]),
            metrics=_object(value, "metrics"),
            training_run=_object(value, "training_run"),
            weights_sha256=_sha256(value["weights_sha256"]),
        )

    def to_json(self) -> dict[str, object]:
        """The form that `from_json` reads."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "image_spec": self.image_spec.to_json(),
            "gate": None if self.gate is None else self.gate.to_json(),
            "metrics": dict(self.metrics),
            "training_run": dict(self.training_run),
            "weights_sha256": self.weights_sha256,
            "labels": list(self.labels),
        }


def read_model_card(path: Path) -> ModelCard:
    """Reads a `model.json`.

    Raises:
        OSError: there is no such file.
        ArchiveError: it is no card.
    """
    with path.open("rb") as file:
        text = file.read(MAX_CARD_BYTES + 1)
    if len(text) > MAX_CARD_BYTES:
        raise ArchiveError(f"{path.name} is larger than {MAX_CARD_BYTES} bytes")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{path.name} is not JSON: {error}") from error
    return ModelCard.from_json(value)


def extract_archive(
    archive: Path, destination: Path, max_bytes: int = MAX_UNPACKED_BYTES
) -> ModelCard:
    """Unpacks an archive into the new folder `destination` and checks its weights.

    Nothing of it is executed. `destination` appears only when everything is in order.

    Args:
        max_bytes: the most that may come out of the archive, headers included.

    Raises:
        OSError: the archive cannot be read, or `destination` exists or cannot be written.
        ArchiveError: not an archive, too large, members outside of it, links, a name twice, no
            card, or weights that are not the card's.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".extract-") as temporary:
        content = Path(temporary) / "content"
        try:
            _unpack(archive, content, max_bytes)
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ArchiveError(f"{archive.name} is not a tar.gz: {error}") from error
        card = _checked_card(content)
        content.rename(destination)
    return card


def sha256_of(path: Path) -> str:
    """64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _BoundedReader:
    """A stream that ends in an error instead of filling the disk or the memory."""

    def __init__(self, file: io.BufferedIOBase, max_bytes: int) -> None:
        self._file = file
        self._left = max_bytes
        self._max_bytes = max_bytes

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveError(f"more than {self._max_bytes} bytes come out of the archive")
        return data


def _unpack(archive: Path, destination: Path, max_bytes: int) -> None:
    # The bound sits below tarfile because tarfile itself reads headers of any announced length.
    with gzip.open(archive) as unzipped:
        bounded = cast(IO[bytes], _BoundedReader(unzipped, max_bytes))
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            tar.extractall(destination, members=_acceptable(tar, max_bytes), filter="data")


def _acceptable(tar: tarfile.TarFile, max_bytes: int) -> Iterator[tarfile.TarInfo]:
    seen: set[str] = set()
    size = 0
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\\" in member.name:
            raise ArchiveError(f"{member.name!r} lies outside of the archive")
        if not (member.isdir() or member.isreg()) or member.issparse():
            raise ArchiveError(f"{member.name!r} is neither a file nor a folder")
        if str(path) in seen:
            raise ArchiveError(f"{member.name!r} is there twice")
        seen.add(str(path))
        size += member.size
        if size > max_bytes or len(seen) > MAX_MEMBERS:
            raise ArchiveError(f"more than {max_bytes} bytes or {MAX_MEMBERS} files in the archive")
        yield member


def _checked_card(content: Path) -> ModelCard:
    for name in (CARD_NAME, WEIGHTS_NAME):
        if not (content / name).is_file():
            raise ArchiveError(f"there is no {name} in the archive")
    card = read_model_card(content / CARD_NAME)
    found = sha256_of(content / WEIGHTS_NAME)
    if found != card.weights_sha256:
        raise ArchiveError(
            f"{WEIGHTS_NAME} has sha256 {found}, the card says {card.weights_sha256}"
        )
    return card


def _text(value: Mapping[str, object], field: str) -> str:
    text = value[field]
    if not isinstance(text, str) or not text or "@" in text:
        raise ArchiveError(f"{field} must be a text without @, is {text!r}")
    return text


def _object(value: Mapping[str, object], field: str) -> Mapping[str, object]:
    mapping = value[field]
    if not isinstance(mapping, dict):
        raise ArchiveError(f"{field} must be an object, is {mapping!r}")
    return mapping


def _labels(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(label, str) and label for label in value):
        raise ArchiveError("labels must be a list of texts")
    if len(value) < 2 or len(set(value)) != len(value):
        raise ArchiveError("labels must be at least two, all different")
    return tuple(value)


def _sha256(value: object) -> str:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ArchiveError(f"weights_sha256 must be 64 hex digits, is {value!r}")
    return value
