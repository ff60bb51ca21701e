"""Gap: PartiQL's INSERT leaves no record in the table's stream, and is read twice, slowly.

On AWS it is a PutItem that refuses an item that is there: the stream has it, the item is validated,
and it needs the permission `dynamodb:PartiQLInsert` on the table.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.insert.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-iam.html

`batch_permissions.py` names the permission.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from localcloud.emulator import patching

_INSERT_LOOKS = "53c143f0d22e"
_PARSE_LOOKS = "34f90fe3b74e"
_ARNS_LOOKS = "a7186900d54a"
_KEPT = 256  # statements
# Every value is a parameter: the statement then says only names.
_NAMES_ONLY = re.compile(r"""INSERT INTO "[^"]+" VALUE \{'[^']+': \?(?:, '[^']+': \?)*\}""")
_TABLE = re.compile(r"""\s*INSERT\s+INTO\s+"([^"]+)\"""", re.IGNORECASE)


def install() -> None:
    """Insert as PutItem puts; read a statement of parameters once."""
    dynamodb = patching.module("services.dynamodb")
    actions = patching.module("core.iam_actions")
    patching.replace(
        dynamodb, "_partiql_insert", _INSERT_LOOKS, lambda _: partial(_insert, dynamodb)
    )
    patching.replace(dynamodb, "_parse_partiql", _PARSE_LOOKS, _once)
    patching.replace(actions, "dynamodb_resource_arns", _ARNS_LOOKS, partial(_tables, actions))


def _insert(dynamodb: Any, table: dict[str, Any], parsed: dict[str, Any]) -> Any:
    answer = dynamodb._put_item(
        {
            "TableName": table["TableName"],
            "Item": parsed["item"],
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": table["pk_name"]},
        }
    )
    if answer[0] == 200:
        return dynamodb.json_response({"Items": []})
    if json.loads(answer[2])["__type"].endswith("ConditionalCheckFailedException"):
        return dynamodb.error_response_json(
            "DuplicateItemException", "Duplicate primary key exists in table", 400
        )
    return answer


def _once(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    @lru_cache(_KEPT)
    def names(statement: str) -> tuple[str, ...]:
        return tuple(re.findall("'([^']+)': ", statement))

    @lru_cache(_KEPT)
    def read(statement: str) -> dict[str, Any]:
        return original(statement, [{"S": "any"}] * len(names(statement)))

    def parse(statement: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
        given = parameters or []
        if not _NAMES_ONLY.fullmatch(statement) or len(given) != len(names(statement)):
            return original(statement, parameters)
        item = dict(zip(names(statement), given, strict=True))
        return read(statement) | {"item": item}

    return parse


def _tables(actions: Any, original: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Name the tables of statements too, for whose sake the permission is needed."""

    def arns(body: bytes, region: str, account_id: str) -> list[str]:
        found = original(body, region, account_id)
        if found or b'"Statements"' not in (body or b""):
            return found
        texts = [each.get("Statement", "") for each in json.loads(body).get("Statements", ())]
        tables = [match[1] for text in texts if (match := _TABLE.match(text))]
        return [
            actions._dynamodb_table_arn(name, region, account_id) for name in dict.fromkeys(tables)
        ]

    return arns
