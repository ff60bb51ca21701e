"""The template's promises that linters cannot check."""

from __future__ import annotations

import pytest

from tests.unit.template.rules import RULES
from tools.template import Json


@pytest.mark.parametrize("name", RULES)
def test_template(template: Json, name: str) -> None:
    assert list(RULES[name](template)) == []
