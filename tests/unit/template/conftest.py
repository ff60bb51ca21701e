from __future__ import annotations

import pytest

from tools.template import Json, load, translate


@pytest.fixture(scope="session")
def template() -> Json:
    """``template.yaml`` after the SAM transform."""
    return translate(load())
