"""The predictions table of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.adapters.predictions_table import PredictionsTable
from tests.tables import dynamodb_with_table


@pytest.fixture
def table() -> Iterator[PredictionsTable]:
    with dynamodb_with_table() as dynamodb:
        yield PredictionsTable(dynamodb, "predictions")
