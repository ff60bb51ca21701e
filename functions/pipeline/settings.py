"""What the template tells the functions, read once from the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from imaging import ImageSpec


@dataclass(frozen=True, slots=True)
class ClassifySettings:
    """Settings of ``ClassifyFunction``."""

    predictions_table: str
    endpoint_name: str
    image_spec: ImageSpec
    max_payload_bytes: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ClassifySettings:
        """
        Raises:
            KeyError: the template does not set a variable.
            ValueError: a variable is malformed.
        """
        return cls(
            predictions_table=environment["PREDICTIONS_TABLE"],
            endpoint_name=environment["ENDPOINT_NAME"],
            image_spec=ImageSpec.from_json(json.loads(environment["IMAGE_SPEC"])),
            max_payload_bytes=int(environment["MAX_PAYLOAD_BYTES"]),
        )
