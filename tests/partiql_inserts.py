"""Make moto's DynamoDB take INSERT statements with parameters of every kind, as DynamoDB does.

moto leaves parameters out where an attribute is a list, and puts over an item that is there.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.insert.html
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType

_INSERT = re.compile(r"""INSERT INTO "([^"]+)" VALUE \{((?:'[^']+': \?(?:, )?)+)\}""")


def take_inserts(patch: pytest.MonkeyPatch) -> None:
    """Lets BatchExecuteStatement insert; it knows no other statement then."""

    def batch_execute_statement(
        backend: Any, statements: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        return [_insert(backend, each["Statement"], each["Parameters"]) for each in statements]

    patch.setattr(DynamoDBBackend, "batch_execute_statement", batch_execute_statement)


def _insert(backend: Any, statement: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    found = _INSERT.fullmatch(statement)
    assert found is not None, statement
    item = dict(zip(re.findall("'([^']+)'", found[2]), parameters, strict=True))
    table = backend.get_table(found[1])
    if table.get_item(DynamoType(item[table.hash_key_attr])) is not None:
        message = "Duplicate primary key exists in table"
        return {"TableName": table.name, "Error": {"Code": "DuplicateItem", "Message": message}}
    table.put_item(item)
    return {"TableName": table.name}
