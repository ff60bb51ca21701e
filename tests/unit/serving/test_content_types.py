"""Content types arrive with parameters, in any case, with or without quotes."""

from __future__ import annotations

import pytest

from model.serving.requests import ACCEPTED, parse_content_type
from registry.model_registry import CONTENT_TYPES


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("application/x-npy; spec=0123abcd", ("application/x-npy", "0123abcd")),
        ('Application/X-NPY;charset=utf-8;Spec="0123abcd"', ("application/x-npy", "0123abcd")),
        ("application/x-npy", ("application/x-npy", None)),
        ("image/jpeg; charset=binary", ("image/jpeg", None)),
        (" IMAGE/PNG ", ("image/png", None)),
        ("", ("", None)),
        (";;=;spec", ("", "")),
    ],
)
def test_media_type_and_spec_are_found(value: str, expected: tuple[str, str | None]) -> None:
    assert parse_content_type(value) == expected


def test_a_registered_model_names_every_type_that_the_endpoint_accepts() -> None:
    assert sorted(CONTENT_TYPES) == sorted(ACCEPTED)
