"""The template's resources, read once a process, and its predictions table in moto."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[1] / "template.yaml"


class _Loader(yaml.CSafeLoader):
    """Reads the short forms of intrinsic functions as plain values."""


_Loader.add_multi_constructor("!", lambda _loader, suffix, _node: suffix)


@cache
def resources() -> dict[str, dict[str, Any]]:
    """Resources by logical id; whoever changes one changes it for all tests."""
    found: dict[str, dict[str, Any]] = yaml.load(TEMPLATE.read_text(), _Loader)["Resources"]
    return found


def create_predictions_table(dynamodb: Any, name: str) -> None:
    """Create a table with the template's own keys and indexes.

    Args:
        dynamodb: a client.
    """
    properties = resources()["PredictionsTable"]["Properties"]
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=properties["KeySchema"],
        AttributeDefinitions=properties["AttributeDefinitions"],
        GlobalSecondaryIndexes=properties["GlobalSecondaryIndexes"],
    )
