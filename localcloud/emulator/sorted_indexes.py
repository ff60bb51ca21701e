"""Gap: a query of an index sorts and compares all rows of the partition; its cost is a constant.

DynamoDB keeps an index in order, so a page costs what it reads, however many rows there are. Here
each partition of an index is a sorted list, and MiniStack is shown only the rows that its page can
hold: it still judges, filters and projects them itself. For a condition that this module does not
understand it is shown the whole partition, as before.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from localcloud.emulator import patching

_LOOKS = {
    "_restore_state": "a5aba16053a2",
    "_query": "50c2e7ec69e9",
    "_index_members": "0cb24364f003",
    "_index_item": "72c4575bce27",
    "_paginate_evaluated_items": "d70cfb58e3a2",
    "_add_consumed_capacity": "e8b57ddae96f",
}
# Half a unit, or a whole one for a consistent read, pays for so many bytes of a page.
_READ_UNIT_BYTES = 4096
_FLIPPED = {"EQ": "EQ", "LT": "GT", "LE": "GE", "GT": "LT", "GE": "LE"}

Table = dict[str, Any]
Key = tuple[Any, ...]  # the index's sort key, then the table's keys
Member = tuple[str, str]  # the table's keys, by which MiniStack finds the item
Comparison = tuple[str, list[Any]]  # an operator's token, and the values of the sort key


@dataclass(slots=True)
class _Asked:
    """The query that is being answered, and the bytes of its page."""

    request: dict[str, Any]
    page_bytes: int = 0


_asked: ContextVar[_Asked | None] = ContextVar("asked", default=None)


class _NotUnderstoodError(Exception):
    """A key condition has a form that this module does not know."""


def install() -> None:
    """Keep indexes in order, and show a query only the rows of its page."""
    dynamodb = patching.module("services.dynamodb")
    replacements: dict[str, Callable[[Any], Any]] = {
        "_restore_state": partial(_prepared, dynamodb),
        "_query": _noticing,
        "_index_members": partial(_showing, dynamodb),
        "_index_item": partial(_following, dynamodb),
        "_paginate_evaluated_items": partial(_weighing, dynamodb),
        "_add_consumed_capacity": _charging,
    }
    for name, make in replacements.items():
        patching.replace(dynamodb, name, _LOOKS[name], make)


@dataclass(slots=True)
class _Partition:
    """The members of one partition of an index, in order."""

    rows: list[tuple[Key, Member]] = field(default_factory=list)
    keys: dict[Member, Key] = field(default_factory=dict)

    def add(self, member: Member, key: Key) -> None:
        self.remove(member)
        self.keys[member] = key
        insort(self.rows, (key, member))

    def remove(self, member: Member) -> None:
        key = self.keys.pop(member, None)
        if key is not None:
            del self.rows[bisect_left(self.rows, (key, member))]


@dataclass(slots=True)
class _Index:
    """An index of a table: its keys with their types, and its partitions."""

    dynamodb: Any
    hashes: list[str]
    ranges: list[str]
    order: list[tuple[str, str]]
    types: dict[str, str]
    partitions: dict[Any, _Partition] = field(default_factory=dict)

    def place(self, item: dict[str, Any]) -> tuple[Any, Key] | None:
        """Returns an item's partition and place; None if it lacks a key, or has another type."""
        if any(kind not in item.get(name, ()) for name, kind in self.types.items()):
            return None
        return self.dynamodb._index_partition(item, self.hashes, self.ranges), self.key(item)

    def key(self, item: dict[str, Any]) -> Key:
        value = self.dynamodb._index_order_value
        return tuple(value(item, name, kind) for name, kind in self.order)

    def add(self, member: Member, item: dict[str, Any]) -> None:
        place = self.place(item)
        if place is not None:
            self.partitions.setdefault(place[0], _Partition()).add(member, place[1])

    def remove(self, member: Member, item: dict[str, Any]) -> None:
        place = self.place(item)
        if place is not None and place[0] in self.partitions:
            self.partitions[place[0]].remove(member)

    def fill(self, items: Iterable[tuple[Member, dict[str, Any]]]) -> None:
        for member, item in items:
            place = self.place(item)
            if place is not None:
                found = self.partitions.setdefault(place[0], _Partition())
                found.keys[member] = place[1]
        for each in self.partitions.values():
            each.rows = sorted((key, member) for member, key in each.keys.items())


def _indexes(dynamodb: Any, table: Table) -> dict[str, _Index]:
    """Returns a table's indexes, which are made again when MiniStack has dropped them."""
    found: dict[str, _Index] | None = table.get(dynamodb._INDEX_MEMBERS)
    if found is None:
        found = table[dynamodb._INDEX_MEMBERS] = {}
        for name, hashes, ranges in dynamodb._index_key_schemas(table):
            order = dynamodb._index_order_keys(table, ranges)
            types = {each: dynamodb._get_attr_type(table, each) for each in (*hashes, *ranges)}
            found[name] = _Index(dynamodb, hashes, ranges, order, types)
            found[name].fill(_items(table))
    return found


def _items(table: Table) -> Iterator[tuple[Member, dict[str, Any]]]:
    for base_hash, by_range in table["items"].items():
        for base_range, item in by_range.items():
            yield (base_hash, base_range), item


def _prepared(dynamodb: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def restore(state: Any) -> None:
        original(state)
        for table in dynamodb._tables.all_values():
            _indexes(dynamodb, table)

    return restore


def _following(dynamodb: Any, _original: Callable[..., Any]) -> Callable[..., Any]:
    """MiniStack calls this for every item that is stored or removed."""

    def index_item(table: Table, base_hash: str, base_range: str, item: Any, add: bool) -> None:
        for index in _indexes(dynamodb, table).values():
            (index.add if add else index.remove)((base_hash, base_range), item)

    return index_item


def _noticing(original: Callable[..., Any]) -> Callable[..., Any]:
    def query(data: dict[str, Any]) -> Any:
        token = _asked.set(_Asked(data))
        try:
            return original(data)
        finally:
            _asked.reset(token)

    return query


def _showing(dynamodb: Any, _original: Callable[..., Any]) -> Callable[..., Any]:
    """MiniStack calls this when a query has been found to be sound, and asks for a partition."""

    def members(table: Table) -> dict[str, _Shown]:
        asked = _asked.get()
        request = asked.request if asked else {}
        indexes = _indexes(dynamodb, table)
        return {name: _Shown(table, index, request) for name, index in indexes.items()}

    return members


@dataclass(slots=True)
class _Shown:
    """An index of which a query is shown what its page can hold."""

    table: Table
    index: _Index
    request: dict[str, Any]

    def get(self, partition: Any, default: Iterable[Member] = ()) -> Iterable[Member]:
        """Returns the members of a partition that MiniStack has to look at, in any order."""
        found = self.index.partitions.get(partition)
        if found is None:
            return default
        rows = found.rows
        try:
            start, stop = self._span(rows)
        except _NotUnderstoodError:
            return [member for _, member in rows]
        forward = self.request.get("ScanIndexForward", True)
        places = range(start, stop) if forward else range(stop - 1, start - 1, -1)
        members = (rows[each][1] for each in places)
        limit = self.request.get("Limit")
        return self._megabyte(members) if limit is None else islice(members, int(limit))

    def _megabyte(self, members: Iterable[Member]) -> Iterator[Member]:
        """Yields what a page holds, and one more, from which MiniStack sees that there is more."""
        dynamodb, size_bytes = self.index.dynamodb, 0
        for member in members:
            yield member
            item = self.table["items"][member[0]][member[1]]
            entry = dynamodb._apply_index_projection(item, self.table, self.request["IndexName"])
            size_bytes += dynamodb._item_size_bytes(entry)
            if size_bytes > dynamodb._DDB_PAGE_SIZE_BYTES:
                return

    def _span(self, rows: list[tuple[Key, Member]]) -> tuple[int, int]:
        """Returns the places of the rows that fulfil the key condition behind the start key."""
        start, stop = 0, len(rows)
        comparison = self._comparison()
        if comparison is not None:
            start, stop = _span_of(rows, *comparison)
        behind = self.request.get("ExclusiveStartKey")
        if behind:
            last = self.index.key(behind)
            if self.request.get("ScanIndexForward", True):
                start = max(start, bisect_right(rows, last, key=_key))
            else:
                stop = min(stop, bisect_left(rows, last, key=_key))
        return start, stop

    def _comparison(self) -> Comparison | None:
        """Returns the key condition's comparison of the sort key; None if it has none."""
        dynamodb, request, index = self.index.dynamodb, self.request, self.index
        condition = request.get("KeyConditionExpression")
        if not condition or len(index.hashes) > 1 or len(index.ranges) > 1:
            raise _NotUnderstoodError
        names = request.get("ExpressionAttributeNames") or {}
        values = request.get("ExpressionAttributeValues") or {}
        try:  # a condition that is refused at a row
            dynamodb._evaluate_condition(
                condition, {}, values, names, slot="KeyConditionExpression"
            )
        except ValueError as error:
            raise _NotUnderstoodError from error
        found = None
        for clause in dynamodb._key_condition_clauses(dynamodb._tokenize(condition)):
            name, operator, operands = _read(clause)
            name = names.get(name, name)
            if name in index.ranges:
                kind = index.types[name]
                found = (
                    operator,
                    [dynamodb._sort_key_value(values[each], kind) for each in operands],
                )
            elif (name, operator) != (index.hashes[0], "EQ"):
                raise _NotUnderstoodError
        return found


def _read(clause: list[tuple[str, str]]) -> tuple[str, str, list[str]]:
    """Returns a clause's attribute, the token of its operator, and its values by name."""
    kinds = ["NAME" if kind in ("IDENT", "NAME_REF") else kind for kind, _ in clause]
    words = [word for _, word in clause]
    match kinds:
        case ["NAME", operator, "VALUE_REF"] if operator in _FLIPPED:
            return words[0], operator, [words[2]]
        case ["VALUE_REF", operator, "NAME"] if operator in _FLIPPED:
            return words[2], _FLIPPED[operator], [words[0]]
        case ["NAME", "NAME", "VALUE_REF", "NAME", "VALUE_REF"]:
            if (words[1].upper(), words[3].upper()) == ("BETWEEN", "AND"):
                return words[0], "BETWEEN", [words[2], words[4]]
        case ["NAME", "LPAREN", "NAME", "COMMA", "VALUE_REF", "RPAREN"]:
            if words[0].lower() == "begins_with":
                return words[2], "BEGINS_WITH", [words[4]]
    raise _NotUnderstoodError


def _span_of(rows: list[tuple[Key, Member]], operator: str, values: list[Any]) -> tuple[int, int]:
    """Returns the places between which the sort keys compare so with the values."""
    first = values[0]
    left, right = bisect_left(rows, first, key=_sort), bisect_right(rows, first, key=_sort)
    if operator == "BEGINS_WITH":
        length = len(first)
        return left, bisect_right(rows, first, key=lambda row: _sort(row)[:length])
    if operator == "BETWEEN":
        return left, bisect_right(rows, values[1], key=_sort)
    start = {"EQ": left, "GE": left, "GT": right}.get(operator, 0)
    stop = {"EQ": right, "LE": right, "LT": left}.get(operator, len(rows))
    return start, stop


def _key(row: tuple[Key, Member]) -> Key:
    return row[0]


def _sort(row: tuple[Key, Member]) -> Any:
    return row[0][0]


def _weighing(dynamodb: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def paginate(items: Any, limit: Any, table: Table, index_name: str | None = None) -> Any:
        page, has_more = original(items, limit, table, index_name)
        asked = _asked.get()
        if asked is not None and "ReturnConsumedCapacity" in asked.request:
            asked.page_bytes = sum(
                dynamodb._item_size_bytes(dynamodb._apply_index_projection(each, table, index_name))
                for each in page
            )
        return page, has_more

    return paginate


def _charging(original: Callable[..., Any]) -> Callable[..., Any]:
    """Multiplies the cost of a query, which is that of one read unit whatever it read."""

    def add(result: dict[str, Any], *rest: Any, **named: Any) -> None:
        original(result, *rest, **named)
        asked = _asked.get()
        if asked is not None and "ConsumedCapacity" in result:
            read_units = max(1, math.ceil(asked.page_bytes / _READ_UNIT_BYTES))
            _multiply(result["ConsumedCapacity"], read_units)

    return add


def _multiply(capacity: dict[str, Any], times: int) -> None:
    for name, value in capacity.items():
        if isinstance(value, dict):
            _multiply(value, times)
        elif name == "CapacityUnits":
            capacity[name] = value * times
