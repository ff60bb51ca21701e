"""The model card, ``model.json``: everything about a model except its weights and code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from archive.names import Names, names_from_json
from archive.uncertainty import Gate, Groups, Unknown
from imaging.spec import ImageSpec

CARD_NAME = "model.json"

# A change that gives other answers, if a reader ignores it, needs a new schema. A field that only
# describes the model does not. Cards with the rule `unknown` have schema 2.
SCHEMAS = (1, 2)

# A card of 1,000 labels is 40 kB.
MAX_CARD_BYTES = 1024 * 1024


class ArchiveError(ValueError):
    """The file is not a model archive, or not a safe one. The message says why."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The content of ``model.json``.

    Attributes:
        labels: in the order of the columns of the output `probabilities`.
        gate: None for a model without the output `known`.
        metrics: what was measured, and on what data. JSON values only.
        training_run: how the weights were made. JSON values only.
        weights_sha256: of ``model.onnx``, 64 hex digits.
        unknown: None for a model that always answers one of its labels, or its gate's.
        groups: None for a model without groups.
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
    unknown: Unknown | None = None
    groups: Groups | None = None
    names: Names = field(default_factory=dict)
    other_fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """`name@version`, the form in which every record names the model that answered."""
        return f"{self.name}@{self.version}"

    @property
    def answers(self) -> tuple[str, ...]:
        """Every label that the model can answer with; those that are not its own are the last."""
        rules = (self.unknown, self.gate)
        return (*self.labels, *(rule.label for rule in rules if rule is not None))

    @classmethod
    def from_json(cls, value: object) -> ModelCard:
        """Reads a decoded card; raises ArchiveError when a field is missing or malformed."""
        if not isinstance(value, dict) or not set(value) >= _FIELDS:
            found = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise ArchiveError(f"a card has the fields {sorted(_FIELDS)}, this one {found}")
        if value["schema"] not in SCHEMAS or isinstance(value["schema"], bool):
            readable = " and ".join(map(str, SCHEMAS))
            raise ArchiveError(f"the card has schema {value['schema']!r}, {readable} can be read")
        labels = _labels(value["labels"])
        try:
            image_spec = ImageSpec.from_json(_object(value, "image_spec"))
            gate = None if value["gate"] is None else Gate.from_json(value["gate"])
            unknown = Unknown.from_json(value["unknown"]) if "unknown" in value else None
            groups = Groups.from_json(value["groups"], labels) if "groups" in value else None
            names = names_from_json(value.get("names", {}), labels)
        except ValueError as error:
            raise ArchiveError(str(error)) from error
        for rule in (unknown, gate):
            if rule is not None and rule.label in labels:
                raise ArchiveError(f"{rule.label} is a label and also stands for no label")
        return cls(
            name=_text(value, "name"),
            version=_text(value, "version"),
            labels=labels,
            image_spec=image_spec,
            gate=gate,
            unknown=unknown,
            groups=groups,
            names=names,
            metrics=_object(value, "metrics"),
            training_run=_object(value, "training_run"),
            weights_sha256=_sha256(value["weights_sha256"]),
            other_fields={name: value[name] for name in value if name not in _FIELDS | _OPTIONAL},
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
            # The lowest that suffices, so that older readers take the cards they understand.
            "schema": 1 if self.unknown is None else 2,
            "name": self.name,
            "version": self.version,
            "image_spec": self.image_spec.to_json(),
            "gate": None if self.gate is None else self.gate.to_json(),
            "metrics": dict(self.metrics),
            "training_run": dict(self.training_run),
            "weights_sha256": self.weights_sha256,
            **self._rules(),
            **self.other_fields,
            "labels": list(self.labels),
        }

    def _rules(self) -> dict[str, object]:
        """Returns the fields that a card may lack."""
        rules: dict[str, object] = {}
        if self.unknown is not None:
            rules["unknown"] = self.unknown.to_json()
        if self.groups is not None:
            rules["groups"] = self.groups.to_json()
        if self.names:
            rules["names"] = {label: list(names) for label, names in self.names.items()}
        return rules


_OPTIONAL = {"unknown", "groups", "names"}
_FIELDS = {"schema"} | {each.name for each in fields(ModelCard)} - {"other_fields"} - _OPTIONAL


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
