"""The names that people use for a model's labels: one to display, and synonyms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping

Names = Mapping[str, tuple[str, ...]]
"""Label → its names, the one to display first. A label may have none."""

_SEPARATORS = re.compile(r"[\s_\-]+")


def names_from_json(value: object, labels: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Reads the `names` of a card; raises ValueError when they are malformed."""
    if not isinstance(value, dict):
        raise ValueError(f"names must be an object, are {value!r}")  # noqa: TRY004 - not a wrong type
    for label, names in value.items():
        if label not in labels:
            raise ValueError(f"names: {label!r} is not one of the model's labels")
        if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
            raise ValueError(f"names: those of {label} must be a list of texts")
    return {label: tuple(names) for label, names in value.items()}


def display_name(label: str, names: Names) -> str:
    """Returns the name to show to people: the first of the label's names, or the label."""
    return next(iter(names.get(label, ())), label)


def folded(name: str) -> str:
    """Returns a form in which case, spaces, hyphens and underscores make no difference."""
    text = unicodedata.normalize("NFC", name).casefold()
    return _SEPARATORS.sub("_", text).strip("_")


def labels_named(name: str, labels: Iterable[str], names: Names) -> list[str]:
    """Returns the labels that have this name, in any case and with any separators."""
    wanted = folded(name)
    return [label for label in labels if wanted in map(folded, (label, *names.get(label, ())))]
