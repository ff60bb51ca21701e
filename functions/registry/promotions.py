"""The list of promoted models, the newest last, in the models bucket beside the archives.

CloudFormation does not see the change that `imagedrop promote` makes to the endpoint, so the next
deployment reads it from this list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from imaging import ImageSpec

PROMOTIONS_KEY = "models/promotions.json"
SCHEMA = 1
# Enough to go back over a year of weekly promotions; the file stays below 50 kB.
MAX_PROMOTIONS = 52


@dataclass(frozen=True, slots=True)
class Promotion:
    """One promoted model.

    Attributes:
        model: `name@version`.
        model_data_url: `s3://…/model.tar.gz`; its card is beside it.
        image_spec: the spec of its images, as in its card.
        promoted_at: UTC, ISO 8601.
    """

    model: str
    model_data_url: str
    image_spec: Mapping[str, object]
    promoted_at: str

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Promotion:
        """Reads one promotion; raises ValueError when a field is missing or malformed."""
        match value:
            case {
                "model": str(model),
                "model_data_url": str(url),
                "image_spec": dict(image_spec),
                "promoted_at": str(promoted_at),
            }:
                ImageSpec.from_json(image_spec)
                return cls(model, url, image_spec, promoted_at)
            case _:
                raise ValueError(f"not a promotion: {value!r}")


@dataclass(frozen=True, slots=True)
class Promotions:
    """All promotions, the newest last; empty while the deployed default model answers."""

    all: tuple[Promotion, ...] = ()

    @property
    def current(self) -> Promotion | None:
        """The promotion in force; None for the default model of the deployed bundle."""
        return self.all[-1] if self.all else None

    def with_promoted(self, promotion: Promotion) -> Promotions:
        """Returns the list with one more; the same archive twice in a row is one promotion."""
        before = self.all
        if before and before[-1].model_data_url == promotion.model_data_url:
            before = before[:-1]
        return Promotions((*before, promotion)[-MAX_PROMOTIONS:])

    def without_current(self) -> Promotions:
        """Returns the list without its newest."""
        return Promotions(self.all[:-1])

    @classmethod
    def from_bytes(cls, content: bytes | None) -> Promotions:
        """Reads the list from the object's content; None means that no model was ever promoted.

        Raises:
            ValueError: it is not a list of promotions.
        """
        if content is None:
            return cls()
        value = json.loads(content)
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            raise ValueError(f"{PROMOTIONS_KEY} is not a list of promotions")
        return cls(tuple(Promotion.from_json(each) for each in value["promotions"]))

    def to_bytes(self) -> bytes:
        """Returns the form that `from_bytes` reads."""
        value = {"schema": SCHEMA, "promotions": [asdict(each) for each in self.all]}
        return json.dumps(value, indent=1).encode()
