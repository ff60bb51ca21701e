"""The rules of the card by which a model gives none of its labels: a gate, and `unknown`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gate:
    """The rule for images that show nothing the model knows.

    Attributes:
        label: the label of such an image.
        minimum: the least `known`, 0..1, of an image that gets one of the model's labels.
    """

    label: str
    minimum: float

    @classmethod
    def from_json(cls, value: object) -> Gate:
        """Reads the `gate` of a card; raises ValueError when it is malformed."""
        match value:
            case {"label": str(label), "minimum": int() | float() as minimum, **rest}:
                if rest or not label or isinstance(minimum, bool) or not 0 <= minimum <= 1:
                    raise ValueError(f"the gate needs a label and a minimum 0..1, is {value}")
                return cls(label, float(minimum))
            case _:
                raise ValueError(f"the gate needs a label and a minimum, is {value!r}")

    def to_json(self) -> dict[str, object]:
        """Returns the form that `from_json` reads."""
        return {"label": self.label, "minimum": self.minimum}


@dataclass(frozen=True, slots=True)
class Unknown:
    """The rule for images of a kind for which the model has no label.

    The lead of the best label is the logarithm of its probability minus the mean logarithm of the
    probabilities of the next `rivals` labels. Photos of a kind that the model lacks look a little
    like many of its labels, so the best one leads by less.

    Attributes:
        label: the label of such an image.
        rivals: the number of labels after the best; with fewer labels all of them.
        lowest_leads: the k lowest leads, in nats, ascending, of photos of what the model knows. An
            image below the last of them gets `label`.
        photos: the number n of those photos; a photo of what the model knows is refused in at most
            k of n + 1 cases.
    """

    label: str
    rivals: int
    lowest_leads: tuple[float, ...]
    photos: int

    @property
    def minimum(self) -> float:
        """The least lead of an image that gets one of the model's labels."""
        return self.lowest_leads[-1]

    def share_below(self, lead: float) -> float:
        """Returns the share of known photos with so small a lead, this one counted: a p-value.

        V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World" (2005), 2.2.
        """
        return (1 + sum(each <= lead for each in self.lowest_leads)) / (1 + self.photos)

    @classmethod
    def from_json(cls, value: object) -> Unknown:
        """Reads the `unknown` of a card; raises ValueError when it is malformed."""
        match value:
            case {
                "label": str(label),
                "rivals": int(rivals),
                "lowest_leads": [_, *_] as leads,
                "photos": int(photos),
                **rest,
            }:
                counts = rivals >= 1 and photos >= len(leads) and not isinstance(rivals, bool)
                if rest or not label or not counts or not _are_ascending(leads):
                    raise ValueError(
                        f"unknown needs rivals, ascending leads and their photos, is {value}"
                    )
                return cls(label, rivals, tuple(map(float, leads)), photos)
            case _:
                raise ValueError(f"unknown needs a label, rivals, leads and photos, is {value!r}")

    def to_json(self) -> dict[str, object]:
        """Returns the form that `from_json` reads."""
        return {
            "label": self.label,
            "rivals": self.rivals,
            "lowest_leads": list(self.lowest_leads),
            "photos": self.photos,
        }


def _are_ascending(leads: list[object]) -> bool:
    numbers = [
        each for each in leads if isinstance(each, int | float) and not isinstance(each, bool)
    ]
    return (
        len(numbers) == len(leads)
        and all(math.isfinite(each) for each in numbers)
        and numbers == sorted(numbers)
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """The level above the labels: of which group each label is, and when the model is sure of it.

    Attributes:
        minimum: the least sum of the probabilities of a group's labels, 0..1, for the group to be
            in an answer.
        of: label → group; a label may have none.
    """

    minimum: float
    of: Mapping[str, str]

    @classmethod
    def from_json(cls, value: object, labels: Collection[str]) -> Groups:
        """Reads the `groups` of a card; raises ValueError when they are malformed.

        Args:
            labels: of the card; another label in the groups is an error.
        """
        match value:
            case {"minimum": int() | float() as minimum, "of": dict(of), **rest}:
                if rest or isinstance(minimum, bool) or not 0 < minimum <= 1:
                    raise ValueError(f"groups need a minimum above 0, at most 1, not {minimum!r}")
                return cls(float(minimum), group_of_label(of, labels))
            case _:
                raise ValueError(f"groups need a minimum and `of`, are {value!r}")

    def to_json(self) -> dict[str, object]:
        """Returns the form that `from_json` reads."""
        return {"minimum": self.minimum, "of": dict(self.of)}


def group_of_label(value: Mapping[object, object], labels: Collection[str]) -> dict[str, str]:
    """Checks the group of each label; raises ValueError for an unknown label or a group that is no
    text."""
    checked: dict[str, str] = {}
    for label, group in value.items():
        if not isinstance(label, str) or label not in labels:
            raise ValueError(f"groups: {label!r} is not one of the model's labels")
        if not isinstance(group, str) or not group:
            raise ValueError(f"groups: the group of {label} must be a text, is {group!r}")
        checked[label] = group
    return checked
