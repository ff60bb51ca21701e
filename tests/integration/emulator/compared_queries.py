"""Runs under MiniStack's Python: the same random requests to MiniStack as it is, and with patches.

    python -m tests.integration.emulator.compared_queries answers
    python -m tests.integration.emulator.compared_queries work

Both must answer alike. Prints as JSON how many pages were compared, and how many had rows; or how
often each looked at a row, and took an expression apart, for one page among a thousand rows.
"""

from __future__ import annotations

import base64
import json
import math
import random
import re
import sys
from collections.abc import Iterator
from typing import Any

from localcloud.emulator import conditions, patching, sorted_indexes

ROUNDS = 3_000
IDS = 40
TABLES = ("plain", "ranged")
POOLS = {
    "S": ["a", "ab", "abc", "abd", "b", "~", " ", "é", "\U0001f600"],
    "N": ["1", "10", "2", "-3", "0.5", "100", "2.0"],
    "B": [base64.b64encode(each).decode() for each in (b"\0", b"\0\xff", b"\xff", b"a")],
}
# By index: hash names, range names.
INDEXES: dict[str, tuple[list[str], list[str]]] = {
    "by_text": (["kennel"], ["text"]),
    "by_number": (["kennel"], ["number"]),
    "by_bytes": (["kennel"], ["bytes"]),
    "by_hash": (["kennel"], []),
    "by_several": (["kennel", "number"], ["text", "bytes"]),
}
TYPES = {"id": "S", "place": "N", "kennel": "S", "text": "S", "number": "N", "bytes": "B"}
KEY_CONDITIONS = (
    "{h} = :h",
    ":h = {h}",
    "{h} = :h AND {s} = :v",
    "{h} = :h AND {s} < :v",
    "{s} <= :v AND {h} = :h",
    "{h} = :h AND {s} > :v",
    "{h} = :h AND {s} >= :v",
    "{h} = :h AND :v >= {s}",
    "{h} = :h AND :v < {s}",
    "{h} = :h AND {s} BETWEEN :v AND :w",
    "{h} = :h and {s} between :v and :w",
    "{h} = :h AND begins_with({s}, :v)",
    "begins_with({s}, :v) AND {h} = :h",
    "({h} = :h) AND ({s} > :v)",
    "({h} = :h AND {s} > :v)",
    "{h} = :h AND ({s} BETWEEN :v AND :w)",
    "({h} = :h)",
)
# None of these is a key condition.
REFUSED = (
    "{h} = :h OR {s} = :v",
    "{h} = :h AND NOT {s} = :v",
    "{h} > :h",
    "{h} = :h AND {s} <> :v",
    "{h} = :h AND {s} IN (:v)",
    "{h} = :h AND contains({s}, :v)",
    "{h} = :h AND {s} = :v AND {s} < :w",
    "{h} = :h AND note = :v",
    "{h} = :h AND",
    "{h} = :h AND {s} BETWEEN :v",
    "{s} = :v",
    "",
)
FILTERS = (
    "note = :f",
    "note <> :f",
    "#n = :f",
    "attribute_exists(note)",
    "attribute_not_exists(note) OR note > :f",
    "NOT note = :f AND (note < :g OR note = :g)",
    "note BETWEEN :f AND :g",
    "note IN (:f, :g)",
    "size(note) > :one",
    "contains(note, :f)",
    "attribute_type(note, :f)",
    "begins_with(note, :one)",
    "status = :f",
    "((note = :f))",
    "note = ",
    "note == :f",
)


def table(name: str) -> dict[str, Any]:
    def index(each: str, keys: tuple[list[str], list[str]], **projection: Any) -> dict[str, Any]:
        schema = [{"AttributeName": at, "KeyType": "HASH"} for at in keys[0]]
        schema += [{"AttributeName": at, "KeyType": "RANGE"} for at in keys[1]]
        return {"IndexName": each, "KeySchema": schema, "Projection": projection}

    projections: dict[str, dict[str, Any]] = {
        "by_number": {"ProjectionType": "KEYS_ONLY"},
        "by_bytes": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"]},
    }
    every = {"ProjectionType": "ALL"}
    made = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": each, "AttributeType": kind}
            for each, kind in TYPES.items()
            if name == "ranged" or each != "place"
        ],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [
            index(each, keys, **projections.get(each, every)) for each, keys in INDEXES.items()
        ],
    }
    if name == "ranged":
        made["KeySchema"] += [{"AttributeName": "place", "KeyType": "RANGE"}]
        made["LocalSecondaryIndexes"] = [index("local", (["id"], ["text"]), **every)]
    return made


class Draw:
    """Random requests."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - requests, not secrets
        self.last_keys: list[dict[str, Any]] = []

    def value(self, kind: str) -> dict[str, str]:
        return {kind: self.random.choice(POOLS[kind])}

    def key(self, name: str) -> dict[str, Any]:
        key = {"id": {"S": f"id{self.random.randrange(IDS)}"}}
        return key | ({"place": self.value("N")} if name == "ranged" else {})

    def item(self, name: str) -> dict[str, Any]:
        item = self.key(name)
        for each in ("text", "number", "bytes"):
            if self.random.random() < 0.8:
                item[each] = self.value(TYPES[each])
        if self.random.random() < 0.9:
            item["kennel"] = {"S": self.random.choice("xy")}
        if self.random.random() < 0.7:
            item["note"] = self.random.choice([self.value("S"), {"N": "7"}])
        return item

    def write(self) -> tuple[str, dict[str, Any]]:
        name = self.random.choice(TABLES)
        put = {"TableName": name, "Item": self.item(name)}
        update: dict[str, Any] = {"TableName": name, "Key": self.key(name)} | self.random.choice(
            [
                {"UpdateExpression": "REMOVE #t", "ExpressionAttributeNames": {"#t": "text"}},
                {
                    "UpdateExpression": "SET #b = :v",
                    "ExpressionAttributeNames": {"#b": "bytes"},
                    "ExpressionAttributeValues": {":v": self.value("B")},
                },
            ]
        )
        delete = {"TableName": name, "Key": self.key(name)}
        return self.random.choice(
            [
                *[("_put_item", put)] * 4,
                *[("_update_item", update)] * 2,
                *[("_delete_item", delete)] * 2,
                ("_batch_write_item", {"RequestItems": {name: [{"PutRequest": put}]}}),
                ("_transact_write_items", {"TransactItems": [{"Put": put}]}),
                ("_transact_write_items", {"TransactItems": [{"Delete": delete}]}),
            ]
        )

    def query(self) -> dict[str, Any]:
        name = self.random.choice(TABLES)
        index = self.random.choice([None, *INDEXES, *(["local"] if name == "ranged" else [])])
        hashes, ranges = INDEXES.get(index or "", (["id"], ["text"]))
        if index is None:
            ranges = ["place"] if name == "ranged" else []
        asked: dict[str, Any] = {"TableName": name}
        asked |= {"IndexName": index} if index else {}
        if self.random.random() < 0.1:
            asked |= self._legacy(hashes, ranges)
        else:
            asked |= self._expressions(hashes, ranges)
        if self.random.random() < 0.6:
            asked["Limit"] = self.random.randrange(1, 9)
        if self.random.random() < 0.7:
            asked["ScanIndexForward"] = self.random.random() < 0.5
        if self.random.random() < 0.1 and self.last_keys:
            asked["ExclusiveStartKey"] = self.random.choice(self.last_keys[-20:])
        if self.random.random() < 0.3:
            asked["ReturnConsumedCapacity"] = self.random.choice(["TOTAL", "INDEXES", "NONE"])
        if self.random.random() < 0.2:
            asked |= self.random.choice(
                [
                    {"Select": "COUNT"},
                    {"ProjectionExpression": "note, id"},
                    {"ConsistentRead": True},
                ]
            )
        return asked

    def _legacy(self, hashes: list[str], ranges: list[str]) -> dict[str, Any]:
        def equal(value: Any) -> dict[str, Any]:
            return {"ComparisonOperator": "EQ", "AttributeValueList": [value]}

        conditions_ = {each: equal(self._hash_value(each)) for each in hashes}
        if ranges and self.random.random() < 0.5:
            conditions_[ranges[0]] = equal(self.value(TYPES[ranges[0]]))
        return {"KeyConditions": conditions_}

    def _hash_value(self, name: str) -> dict[str, str]:
        if name == "kennel":
            return {"S": self.random.choice("xyz")}
        if name == "id":
            return {"S": f"id{self.random.randrange(IDS)}"}
        return self.value(TYPES[name])

    def _expressions(self, hashes: list[str], ranges: list[str]) -> dict[str, Any]:
        sort = ranges[0] if ranges else "text"
        known = KEY_CONDITIONS if self.random.random() < 0.85 else REFUSED
        key_condition = self.random.choice(known)
        names: dict[str, str] = {}
        spelled = {"h": hashes[0], "s": sort}
        for each, name in spelled.items():
            if self.random.random() < 0.7:  # "bytes" and "text" are reserved
                spelled[each] = f"#{each}"
                names[f"#{each}"] = name
        key_condition = key_condition.format(**spelled)
        if len(hashes) > 1 and key_condition:
            key_condition += f" AND #{hashes[1]} = :second"
            names[f"#{hashes[1]}"] = hashes[1]
        values: dict[str, Any] = {
            ":h": self._hash_value(hashes[0]),
            ":second": self._hash_value(hashes[-1]),
            ":v": self.value(TYPES[sort]),
            ":w": self.value(TYPES[sort]),
            ":f": self.value("S"),
            ":g": self.value("S"),
            ":one": {"N": "1"},
        }
        if self.random.random() < 0.05:
            values[":v"] = self.random.choice([{"S": ""}, {"BOOL": True}, {"N": "5"}])
        asked: dict[str, Any] = {"KeyConditionExpression": key_condition}
        if self.random.random() < 0.5:
            asked["FilterExpression"] = self.random.choice(FILTERS)
        text = " ".join(asked.values())
        names["#n"] = "note"
        used_names = {each: name for each, name in names.items() if re.search(rf"{each}\b", text)}
        used = {each: value for each, value in values.items() if re.search(rf"{each}\b", text)}
        asked |= {"ExpressionAttributeNames": used_names} if used_names else {}
        return asked | ({"ExpressionAttributeValues": used} if used else {})


def two() -> tuple[Any, Any]:
    """MiniStack's DynamoDB as it is, and another one with the patches."""
    plain = patching.module("services.dynamodb")
    del sys.modules["ministack.services.dynamodb"]
    patched = patching.module("services.dynamodb")
    assert patched is not plain
    conditions.install()
    sorted_indexes.install()
    for each in (plain, patched):
        for name in TABLES:
            assert each._create_table(table(name))[0] == 200
    return plain, patched


def answer(dynamodb: Any, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    status, _, body = getattr(dynamodb, operation)(json.loads(json.dumps(request)))
    parsed: dict[str, Any] = json.loads(body)
    return {"status": status} | parsed


def pages(plain: Any, patched: Any, draw: Draw, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the answers to a query, page by page, which are the same with and without patches."""
    for _ in range(6):
        theirs, ours = (answer(each, "_query", asked) for each in (plain, patched))
        costs = theirs.pop("ConsumedCapacity", None), ours.pop("ConsumedCapacity", None)
        assert theirs == ours, (asked, theirs, ours)
        check_cost(patched, asked, ours, *costs)
        yield ours
        if "LastEvaluatedKey" not in ours:
            return
        draw.last_keys.append(ours["LastEvaluatedKey"])
        asked = asked | {"ExclusiveStartKey": ours["LastEvaluatedKey"]}


def check_cost(
    patched: Any, asked: dict[str, Any], given: dict[str, Any], theirs: Any, ours: Any
) -> None:
    """A page costs half a unit for 4 kB of the rows that it reads, before any filter."""
    assert (theirs is None) == (ours is None)
    is_whole = not {"FilterExpression", "Select", "ProjectionExpression"} & set(asked)
    if ours is None or not is_whole:
        return
    size_bytes = sum(patched._item_size_bytes(each) for each in given["Items"])
    times = max(1, math.ceil(size_bytes / 4096))
    assert ours["CapacityUnits"] == times * theirs["CapacityUnits"], (asked, theirs, ours)
    assert set(ours) == set(theirs)


def compare_small(plain: Any, patched: Any) -> tuple[int, int]:
    draw, compared, found = Draw(1), 0, 0
    for number in range(ROUNDS):
        operation, request = draw.write()
        assert answer(plain, operation, request) == answer(patched, operation, request)
        for page in pages(plain, patched, draw, draw.query()):
            compared += 1
            found += page.get("Count", 0) > 0
        if number % 500 == 499:  # a restart
            for each in (plain, patched):
                each._restore_state(each.get_state())
            assert patched._INDEX_MEMBERS in patched._tables["plain"]  # before a query asks
    return compared, found


def compare_large(plain: Any, patched: Any) -> None:
    """Pages that end at 1 MB, also where a filter leaves nothing."""
    draw = Draw(2)
    for number in range(60):
        item = {
            "id": {"S": f"large{number}"},
            "kennel": {"S": "large"},
            "text": {"S": f"{number % 7}"},
            "note": {"S": "é" * draw.random.randrange(20_000, 60_000)},
        }
        for each in (plain, patched):
            assert answer(each, "_put_item", {"TableName": "plain", "Item": item})["status"] == 200
    for forward in (True, False):
        for narrowed in ({}, {"FilterExpression": "note = :h"}, {"Limit": 50}, {"Limit": 3}):
            asked = {
                "TableName": "plain",
                "IndexName": "by_text",
                "KeyConditionExpression": "kennel = :h",
                "ExpressionAttributeValues": {":h": {"S": "large"}},
                "ScanIndexForward": forward,
                "ReturnConsumedCapacity": "INDEXES",
                **narrowed,
            }
            read = sum(page["ScannedCount"] for page in pages(plain, patched, draw, asked))
            assert read == (60 if narrowed != {"Limit": 3} else 18)


def counted(dynamodb: Any, owner: Any, name: str, asked: dict[str, Any]) -> int:
    """Returns how often answering a query calls a function."""
    calls: list[None] = []
    original = getattr(owner, name)

    def count(*given: Any) -> Any:
        calls.append(None)
        return original(*given)

    setattr(owner, name, count)
    answer(dynamodb, "_query", asked)
    setattr(owner, name, original)
    return len(calls)


def work_of(dynamodb: Any) -> dict[str, int]:
    """Returns the work for a page of five in the middle of a thousand rows."""
    for number in range(1000):
        item = {"id": {"S": f"m{number}"}, "kennel": {"S": "many"}, "text": {"S": f"{number:04}"}}
        answer(dynamodb, "_put_item", {"TableName": "plain", "Item": item})
    asked = {
        "TableName": "plain",
        "IndexName": "by_text",
        "KeyConditionExpression": "kennel = :h AND #t BETWEEN :v AND :w",
        "FilterExpression": "attribute_not_exists(note)",
        "ExpressionAttributeNames": {"#t": "text"},
        "ExpressionAttributeValues": {
            ":h": {"S": "many"},
            ":v": {"S": "0100"},
            ":w": {"S": "0900"},
        },
        "ScanIndexForward": False,
        "Limit": 5,
    }
    found = [each["text"]["S"] for each in answer(dynamodb, "_query", asked)["Items"]]
    assert found == ["0900", "0899", "0898", "0897", "0896"]
    return {
        "looked_at": counted(dynamodb, dynamodb._ExprEval, "evaluate", asked),
        "taken_apart": counted(dynamodb, dynamodb, "_tokenize", asked),
    }


def main() -> None:
    plain, patched = two()
    if sys.argv[1] == "work":
        print(json.dumps({"plain": work_of(plain), "patched": work_of(patched)}))
        return
    compared, found = compare_small(plain, patched)
    compare_large(plain, patched)
    print(json.dumps({"compared": compared, "found": found}))


if __name__ == "__main__":
    main()
