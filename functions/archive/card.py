"""The model card, ``model.json``: everything about a model except its weights and code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from imaging.spec import ImageSpec

CARD_NAME = "model.json"

# Raised when readers that ignore a change would give other answers. A field that only describes
# the model does not raise it.
SCHEMA = 1

# A card of 1,000 labels is 40 kB.
MAX_CARD_BYTES = 1024 * 1024


class ArchiveError(ValueError):
    """The file is not a model archive, or not a safe one. The message says why."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The rule by which the model says that an image shows nothing it knows.

    Attributes:
        label: the label of such an image.
        minimum: the least `known`, 0..1, of an image that gets one of the model's labels.
    """

    label: str
    minimum: float

    @classmethod
    def from_json(cls, value: object) -> Gate:
        """Reads the `gate` of a card; raises ArchiveError when it is malformed."""
        match value:
            case {"label": str(label), "minimum": int() | float() as minimum, **rest}:
                if rest or not label or isinstance(minimum, bool) or not 0 <= minimum <= 1:
                    raise ArchiveError(f"the gate needs a label and a minimum 0..1, is {value}")
                return cls(label, float(minimum))
            case _:
                raise ArchiveError(f"the gate needs a label and a minimum, is {value!r}")

    def to_json(self) -> dict[str, object]:
        """Returns the form that `from_json` reads."""
        return {"label": self.label, "minimum": self.minimum}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The content of ``model.json``.

    Attributes:
        labels: in the order of the columns of the output `probabilities`.
        gate: None for a model without the output `known`.
        metrics: what was measured, and on what data. JSON values only.
        training_run: how the weights were made. JSON values only.
        weights_sha256: of ``model.onnx``, 64 hex digits.
        other_fields: fields that this version does not know; kept when the card is written again.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    image_spec: ImageSpec
    gate: Gate | None
    metrics: Mapping[str, object]
    training_run: Mapping[str, object]
    weights_sha256: str
    other_fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """`name@version`, the form in which every record names the model that answered."""
        return f"{self.name}@{self.version}"

    @property
    def answers(self) -> tuple[str, ...]:
        """Every label that the model can answer with; the gate's label is the last."""
        return self.labels if self.gate is None else (*self.labels, self.gate.label)

    @classmethod
    def from_json(cls, value: object) -> ModelCard:
        """Reads a decoded card; raises ArchiveError when a field is missing or malformed."""
        if not isinstance(value, dict) or not set(value) >= _FIELDS:
            found = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise ArchiveError(f"a card has the fields {sorted(_FIELDS)}, this one {found}")
        if value["schema"] != SCHEMA or isinstance(value["schema"], bool):
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
            other_fields={name: value[name] for name in value if name not in _FIELDS},
        )

    @classmethod
    def from_bytes(cls, content: bytes) -> ModelCard:
        """Reads the bytes of a ``model.json``; raises ArchiveError when they are not a card."""
        if len(content) > MAX_CARD_BYTES:
            raise ArchiveError(f"{CARD_NAME} is larger than {MAX_CARD_BYTES} bytes")
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ArchiveError(f"{CARD_NAME} is not JSON: {error}") from error
        try:
            return cls.from_json(value)
        except ArchiveError as error:
            raise ArchiveError(f"{CARD_NAME}: {error}") from error

    def to_json(self) -> dict[str, object]:
        """Returns the form that `from_json` reads."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "image_spec": self.image_spec.to_json(),
            "gate": None if self.gate is None else self.gate.to_json(),
            "metrics": dict(self.metrics),
            "training_run": dict(self.training_run),
            "weights_sha256": self.weights_sha256,
            **self.other_fields,
            "labels": list(self.labels),
        }


_FIELDS = {"schema"} | {each.name for each in fields(ModelCard)} - {"other_fields"}


def read_model_card(path: Path) -> ModelCard:
    """Reads a ``model.json`` file.

    Raises:
        OSError: there is no such file.
        ArchiveError: it is not a card.
    """
    with path.open("rb") as file:
        return ModelCard.from_bytes(file.read(MAX_CARD_BYTES + 1))


def _text(value: Mapping[str, object], name: str) -> str:
    text = value[name]
    if not isinstance(text, str) or not text or "@" in text:
        raise ArchiveError(f"{name} must be a text without @, is {text!r}")
    return text


def _object(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    mapping = value[name]
    if not isinstance(mapping, dict):
        raise ArchiveError(f"{name} must be an object, is {mapping!r}")
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
