"""Checks a request against botocore's own description of the SageMaker API.

The messages are the service's ("1 validation error detected: Value 'x' at 'y' failed to satisfy
constraint: Member must …"), so that a template or a state machine that AWS would refuse is refused
here for the same reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape

from localcloud.sagemaker.errors import ServiceError, validation_exception

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
    "blob": (str,),
}


def load_service_model() -> ServiceModel:
    """Returns botocore's model of the SageMaker control plane (JSON 1.1)."""
    return botocore.session.get_session().get_service_model("sagemaker")


class RequestValidator:
    """Refuses what SageMaker's API model does not allow."""

    def __init__(self, service_model: ServiceModel) -> None:
        self._service_model = service_model

    def check(self, operation: str, request: Mapping[str, Any]) -> None:
        """Raise ``ServiceError`` when ``request`` is not a valid input of ``operation``."""
        shape = self._service_model.operation_model(operation).input_shape
        if shape is None:
            return
        violations = list(_violations(shape, request, ""))
        if violations:
            count = len(violations)
            plural = "" if count == 1 else "s"
            raise validation_exception(
                f"{count} validation error{plural} detected: " + "; ".join(violations)
            )


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    _check_type(shape, value, path)
    if isinstance(shape, StructureShape):
        yield from _structure_violations(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _length_violations(shape, value, path)
        for index, item in enumerate(value, start=1):
            yield from _violations(shape.member, item, f"{path}.{index}.member")
    elif isinstance(shape, MapShape):
        yield from _length_violations(shape, value, path)
        for key, item in value.items():
            yield from _violations(shape.key, key, f"{path}.{key}.key")
            yield from _violations(shape.value, item, f"{path}.{key}.value")
    elif isinstance(shape, StringShape):
        yield from _string_violations(shape, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _range_violations(shape, value, path)


def _check_type(shape: Shape, value: Any, path: str) -> None:
    expected = _JSON_TYPES[shape.type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        where = path or "the request"
        raise ServiceError(
            "SerializationException",
            f"{type(value).__name__} at '{where}' can not be converted to {shape.type_name}",
        )


def _structure_violations(
    shape: StructureShape, value: Mapping[str, Any], path: str
) -> Iterator[str]:
    unknown = sorted(set(value) - set(shape.members))
    if unknown:
        known = ", ".join(shape.members)
        raise validation_exception(
            f'Unknown parameter in {path or "input"}: "{unknown[0]}", must be one of: {known}'
        )
    for name in shape.required_members:
        if value.get(name) is None:
            yield _violation(None, _join(path, name), "Member must not be null")
    for name, member in value.items():
        if member is not None:
            yield from _violations(shape.members[name], member, _join(path, name))


def _string_violations(shape: StringShape, value: str, path: str) -> Iterator[str]:
    if shape.enum:
        if value not in shape.enum:
            allowed = ", ".join(shape.enum)
            yield _violation(value, path, f"Member must satisfy enum value set: [{allowed}]")
        return
    yield from _length_violations(shape, value, path)
    pattern = shape.metadata.get("pattern")
    if pattern and not _matcher(pattern)(value):
        yield _violation(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _length_violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for bound in _missed_bounds(shape, len(value)):
        yield _violation(value, path, f"Member must have length {bound}")


def _range_violations(shape: Shape, value: float, path: str) -> Iterator[str]:
    for bound in _missed_bounds(shape, value):
        yield _violation(value, path, f"Member must have value {bound}")


def _missed_bounds(shape: Shape, number: float) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and number < low:
        yield f"greater than or equal to {low}"
    if high is not None and number > high:
        yield f"less than or equal to {high}"


def _violation(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    member = name[0].lower() + name[1:]
    return f"{path}.{member}" if path else member


@cache
def _matcher(pattern: str) -> Callable[[str], bool]:
    """Returns a full match of a Java pattern; Python's ``re`` lacks its Unicode classes."""
    if r"\p{" in pattern:
        return lambda _value: True
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None
