"""The image spec: read, refused, named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imaging import ImageSpec
from imaging import spec as spec_module
from tests.unit.imaging.pictures import SPEC


def test_spec_survives_json() -> None:
    assert ImageSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0),
        ("size", 224.0),
        ("size", True),
        ("resize", "256"),
        ("crop", "random"),
        ("interpolation", "nearest"),
        ("mean", [127, 127]),
        ("mean", [127, 127, 300]),
        ("mean", 127),
        ("std", [0, 1, 1]),
        ("layout", "NCHW"),
    ],
)
def test_malformed_field_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        ImageSpec.from_json(SPEC.to_json() | {field: value})


def test_missing_and_unknown_fields_are_named() -> None:
    fields = SPEC.to_json() | {"colour": "BGR"}
    del fields["size"]
    with pytest.raises(ValueError, match=r"missing fields \['size'\].*unknown fields \['colour'\]"):
        ImageSpec.from_json(fields)


def test_resize_below_size_is_refused() -> None:
    with pytest.raises(ValueError, match="below size"):
        ImageSpec.from_json(SPEC.to_json() | {"resize": 223})


def test_hash_does_not_depend_on_the_form_of_numbers_or_the_order_of_fields() -> None:
    fields = dict(reversed(SPEC.to_json().items())) | {"mean": (127, 127, 127)}
    assert ImageSpec.from_json(fields).hash == SPEC.hash


@pytest.mark.parametrize(
    "change", [{"size": 225}, {"interpolation": "bilinear"}, {"mean": [0, 0, 0]}]
)
def test_hash_changes_with_every_field(change: dict[str, object]) -> None:
    assert ImageSpec.from_json(SPEC.to_json() | change).hash != SPEC.hash


def test_hash_changes_with_the_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    before = SPEC.hash
    monkeypatch.setattr(spec_module, "PREPARE_VERSION", spec_module.PREPARE_VERSION + 1)
    assert SPEC.hash != before


def test_hash_is_16_hex_digits_and_stable() -> None:
    assert SPEC.hash == "30f082eb7ba326a8"


def test_image_bytes_are_those_of_uint8_rgb() -> None:
    assert SPEC.image_bytes == 150_528
