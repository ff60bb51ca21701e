"""What the template promises beyond what linters see."""

from __future__ import annotations

import pytest

from tests.unit.template.checks import CHECKS
from tests.unit.template.translation import Json


@pytest.mark.parametrize("name", CHECKS)
def test_template(template: Json, name: str) -> None:
    assert list(CHECKS[name](template)) == []
