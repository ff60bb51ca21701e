"""Make moto faster without changing its answers: repeated computations are cached.

moto parses each expression of DynamoDB several times a request, counts an item's bytes before each
of its attributes is set, looks for ten kinds of value in each value that it sends, and reads the
URLs of S3 anew for each request: most of a request's time.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache, lru_cache
from typing import Any

import moto.core.models
import pytest
from moto.core.base_backend import BaseBackend
from moto.core.serialize import ResponseSerializer
from moto.dynamodb.comparisons import AttributeValue, ConditionExpressionParser, OpDefault
from moto.dynamodb.models.dynamo_type import DynamoType, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize
from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.ast_nodes import (
    DepthFirstTraverser,
    Expression,
    Node,
    UpdateExpressionFunction,
)
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.moto_api._internal.moto_random import MotoRandom
from moto.sqs.models import SQSBackend

SURELY_SMALL_BYTES = 100_000  # far below the 405,000 at which moto refuses an item

_parse = ConditionExpressionParser.parse
_make_operand = ConditionExpressionParser._make_operand
_urls = BaseBackend.urls.fget  # type: ignore[attr-defined]
_attributes_of = SQSBackend.get_queue_attributes
_set = LimitedSizeDict.__setitem__
_structure = ResponseSerializer._serialize_type_structure


def quicken(patch: pytest.MonkeyPatch) -> None:
    """Put the quick functions into moto until the patch is undone."""
    patch.setattr(ConditionExpressionParser, "parse", _parse_condition)
    patch.setattr(ConditionExpressionParser, "_make_operand", _operand)
    # Nobody changes the tree: validators work on a copy.
    patch.setattr(UpdateExpressionParser, "make", lru_cache(512)(UpdateExpressionParser.make))
    patch.setattr(validators, "deepcopy", _copy)
    patch.setattr(Node, "find_clauses", _find_clauses)
    patch.setattr(DepthFirstTraverser, "traverse", _traverse)
    # A whole expression has every clause that a part of it has.
    patch.setattr(
        validators.ActionCountValidator,
        "traverse",
        validators.ActionCountValidator.verify_action_counts,
    )
    patch.setattr(
        validators.OverlappingPathsValidator,
        "traverse",
        validators.OverlappingPathsValidator.check_for_overlapping_paths,
    )
    patch.setattr(LimitedSizeDict, "__setitem__", _set_counted)
    patch.setattr(BaseBackend, "urls", _kept_urls())
    # For each message it collects all attributes of the queue, to read one of them.
    patch.setattr(SQSBackend, "get_queue_attributes", _queue_attributes)
    patch.setattr(MotoRandom, "get_random_hex", _random_hex)
    patch.setattr(ResponseSerializer, "_serialize_type_structure", _serialize_structure)
    # Each start registers thousands of answers for the package requests, which nothing here uses.
    patch.setattr(moto.core.models, "RESPONSES_METHODS", [])


class _Trees(ConditionExpressionParser):
    """Parses a condition into its tree, in which values are names."""

    def _make_op_condition(self, node: Any) -> Any:
        return node


@lru_cache(512)
def _tree(
    expression: str, names: tuple[tuple[str, str], ...] | None, values: frozenset[str] | None
) -> tuple[Any, list[str], list[str]]:
    """Return the tree, and the names of attributes and values in it; errors as moto's parser."""
    parser = _Trees(
        expression,
        names if names is None else dict(names),
        values if values is None else {each: {} for each in values},
    )
    return _parse(parser), parser.expr_attr_names_found, parser.expr_attr_values_found


def _parse_condition(self: ConditionExpressionParser) -> Any:
    if not self.condition_expression:
        return OpDefault(None, None)  # type: ignore[arg-type]
    names, values = self.expression_attribute_names, self.expression_attribute_values
    node, names_found, values_found = _tree(
        self.condition_expression,
        None if names is None else tuple(names.items()),
        None if values is None else frozenset(values),
    )
    self.expr_attr_names_found.extend(names_found)
    self.expr_attr_values_found.extend(values_found)
    return self._make_op_condition(node)


def _operand(self: ConditionExpressionParser, node: Any) -> Any:
    if node.kind == self.Kind.EXPRESSION_ATTRIBUTE_VALUE:
        return AttributeValue(self._lookup_expression_attribute_value(node.text))
    return _make_operand(self, node)


@cache
def _is_node(kind: type) -> bool:
    return issubclass(kind, Node)


@cache
def _has_clauses(kind: type) -> bool:
    return issubclass(kind, Expression | UpdateExpressionFunction)


def _find_clauses(self: Node, kinds: list[type]) -> list[Any]:
    found = []
    for child in self.children or ():
        if type(child) in kinds:
            found.append(child)
        elif _has_clauses(type(child)):
            found += _find_clauses(child, kinds)
    return found


def _copy(original: Any) -> Any:
    if not _is_node(type(original)):
        return deepcopy(original)
    copied = object.__new__(type(original))
    copied.type, copied.parent, copied.children = original.type, None, None
    if original.children is not None:
        copied.children = children = []
        for child in original.children:
            if _is_node(type(child)):
                child = _copy(child)  # noqa: PLW2901 - the copy takes its place
                child.parent = copied
            children.append(child)
    return copied


def _traverse(self: DepthFirstTraverser, root: Any) -> Any:
    """Process the nodes bottom up, with one look at what is to be processed."""
    processors = self._processing_map()
    before = self.pre_processing_of_child
    is_told = type(self).pre_processing_of_child is not DepthFirstTraverser.pre_processing_of_child

    @cache
    def processor_of(kind: type) -> Callable[[Any], Any] | None:
        return next((each for base, each in processors.items() if issubclass(kind, base)), None)

    def visit(node: Any, place: int) -> Any:
        for child_place, child in enumerate(node.children or ()):
            if is_told:
                before(node, child_place)
            if _is_node(type(child)):
                visit(child, child_place)
        process = processor_of(type(node))
        if process is None:
            return node
        parent = node.parent
        made = process(node)
        made.parent = parent
        if parent:
            parent.children[place] = made
        return made

    return visit(root, -1)


def _set_counted(self: LimitedSizeDict, key: str, value: Any) -> None:
    """Set it without a count of all bytes, if the sum of all that was ever set is small."""
    most = self.__dict__.get("bytes_at_most")
    if most is None:
        most = sum(bytesize(name) + _bytes_of(each) for name, each in self.items())
    most += bytesize(key) + _bytes_of(value)
    self.__dict__["bytes_at_most"] = most
    if most < SURELY_SMALL_BYTES:
        dict.__setitem__(self, key, value)
    else:
        _set(self, key, value)


def _bytes_of(value: Any) -> int:
    return value.size() if type(value) is DynamoType else bytesize(str(value))


def _kept_urls() -> property:
    kept: dict[type, Any] = {}

    def urls(backend: BaseBackend) -> Any:
        if type(backend) not in kept:
            kept[type(backend)] = _urls(backend)
        return kept[type(backend)]

    return property(urls)


def _queue_attributes(self: SQSBackend, queue_name: str, names: list[str]) -> dict[str, Any]:
    if names != ["MessageRetentionPeriod"]:
        return _attributes_of(self, queue_name, names)
    return {names[0]: self.get_queue(queue_name).message_retention_period}


def _random_hex(self: MotoRandom, length: int = 8) -> str:
    return f"{self.getrandbits(4 * length):0{length}x}"


def _serialize_structure(
    self: ResponseSerializer, serialized: Any, value: Any, shape: Any, key: str
) -> None:
    """Of an item's value, look only for the kind that it has."""
    if shape.name != "AttributeValue" or not isinstance(value, dict):
        _structure(self, serialized, value, shape, key)
        return
    wrapper = self.MAP_TYPE()
    for kind in value:
        member = shape.members[kind]
        member.parent = shape
        self._serialize_structure_member(wrapper, value, member, kind)
    self._default_serialize(serialized, wrapper, shape, key)
