"""Replace parts of MiniStack only while they look as they did when the replacement was written."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import inspect
from collections.abc import Callable
from typing import Any

MINISTACK_VERSION = "1.5.33"


class UnexpectedMiniStackError(Exception):
    """MiniStack is missing, or is not the version that a patch was written for."""


def require_version() -> None:
    """Refuse any MiniStack but the pinned one.

    Raises:
        UnexpectedMiniStackError: MiniStack is not installed here or has another version.
    """
    try:
        found = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != MINISTACK_VERSION:
        raise UnexpectedMiniStackError(
            f"imagedrop's local cloud needs ministack {MINISTACK_VERSION}, found {found}. "
            f"Install it beside this interpreter: pip install ministack=={MINISTACK_VERSION}"
        )


def module(name: str) -> Any:
    """MiniStack's module `name` (without the leading `ministack.`), untyped as it is."""
    return importlib.import_module(f"ministack.{name}")


def replace(owner: Any, name: str, looks: str, make: Callable[[Any], Any]) -> None:
    """Replace `owner.name` by `make(original)`.

    Args:
        owner: module or class that holds the original.
        name: the original's attribute name; a function, method or string constant.
        looks: fingerprint of the original (see `fingerprint`).
        make: takes the original, returns its replacement.

    Raises:
        UnexpectedMiniStackError: the original is gone or has another fingerprint.
    """
    original = getattr(owner, name, None)
    found = "missing" if original is None else fingerprint(original)
    if found != looks:
        raise UnexpectedMiniStackError(
            f"{owner.__name__}.{name} is not what imagedrop's patch was written for "
            f"(expected {looks}, found {found})."
        )
    setattr(owner, name, make(original))


def _same(props: dict[str, Any]) -> dict[str, Any]:
    return props


def _nothing(_physical_id: str, _props: dict[str, Any]) -> None:
    return None


def extend_resource(
    resource_type: str,
    looks: dict[str, str],
    *,
    prepare: Callable[[dict[str, Any]], dict[str, Any]] = _same,
    then: Callable[[str, dict[str, Any]], None] = _nothing,
) -> None:
    """Extend how CloudFormation creates and updates resources of one type.

    Args:
        resource_type: such as `AWS::DynamoDB::Table`.
        looks: fingerprints of MiniStack's handlers, by `create` and `update`.
        prepare: properties as the template gives them → as MiniStack's handler needs them.
        then: called afterwards with the physical id and the prepared properties.

    Raises:
        UnexpectedMiniStackError: a handler is gone or has another fingerprint.
    """
    handlers = module("services.cloudformation.provisioners")._RESOURCE_HANDLERS[resource_type]
    for verb, expected in looks.items():
        found = fingerprint(handlers[verb])
        if found != expected:
            raise UnexpectedMiniStackError(
                f"MiniStack's {verb} handler of {resource_type} is not what imagedrop's patch was "
                f"written for (expected {expected}, found {found})."
            )
    original_create, original_update = handlers["create"], handlers["update"]

    def create(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        prepared = prepare(props)
        physical_id, attributes = original_create(logical_id, prepared, stack_name)
        then(physical_id, prepared)
        return physical_id, attributes

    def update(given_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any) -> Any:
        prepared = prepare(new)
        physical_id, attributes = original_update(given_id, prepare(old), prepared, *rest)
        then(physical_id, prepared)
        return physical_id, attributes

    handlers.update(create=create, update=update)


def fingerprint(original: Any) -> str:
    """First 12 hex digits of the sha256 of a function's source or of a string."""
    source = original if isinstance(original, str) else inspect.getsource(original)
    return hashlib.sha256(source.encode()).hexdigest()[:12]
