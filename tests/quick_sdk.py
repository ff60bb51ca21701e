"""Create botocore's clients faster without changing them: repeated computations are cached.

Each session parses megabytes of JSON and inspects a hundred handlers, each client turns its
service's rules for endpoints into objects, makes a method of each operation, and looks its events'
names up among the aliases.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import CO_VARKEYWORDS
from typing import Any

import botocore.client
import botocore.endpoint_provider
import botocore.hooks
import botocore.session
import botocore.useragent
import pytest

_alias = botocore.hooks.EventAliaser._alias_event_name
_accepts = botocore.hooks.accepts_kwargs
_rules = botocore.endpoint_provider.RuleSet
_methods = botocore.client.ClientCreator._create_methods


def quicken(patch: pytest.MonkeyPatch) -> None:
    """Put the quick functions into botocore until the patch is undone."""
    loader = botocore.session.create_loader()
    patch.setattr(botocore.session, "create_loader", lambda *_: loader)
    patch.setattr(botocore.endpoint_provider, "RuleSet", _kept_rules())
    patch.setattr(botocore.client.ClientCreator, "_create_methods", _kept_methods())
    patch.setattr(botocore.hooks.EventAliaser, "_alias_event_name", _kept_alias())
    patch.setattr(botocore.hooks, "accepts_kwargs", _accepts_kwargs)
    name = "sanitize_user_agent_string_component"
    patch.setattr(botocore.useragent, name, cache(getattr(botocore.useragent, name)))


def _kept_rules() -> Callable[..., Any]:
    """The loader gives every client of a service the same lists."""
    kept: dict[tuple[int, int], tuple[Any, Any, Any]] = {}

    def rules_of(rules: Any, partitions: Any, **about: Any) -> Any:
        key = id(rules), id(partitions)
        if key not in kept:  # what is kept beside the made one keeps its id
            kept[key] = (_rules(rules=rules, partitions=partitions, **about), rules, partitions)
        return kept[key][0]

    return rules_of


def _kept_methods() -> Callable[[Any, Any], dict[str, Any]]:
    kept: dict[str, dict[str, Any]] = {}

    def methods_of(self: Any, service: Any) -> dict[str, Any]:
        if service.service_name not in kept:
            kept[service.service_name] = _methods(self, service)
        return dict(kept[service.service_name])

    return methods_of


def _kept_alias() -> Callable[[Any, str], str]:
    kept: dict[str, str] = {}

    def alias(self: Any, event_name: str) -> str:
        found = kept.get(event_name)
        if found is None:
            found = kept[event_name] = _alias(self, event_name)
        return found

    return alias


def _accepts_kwargs(handler: Any) -> Any:
    code = getattr(handler, "__code__", None)
    return _accepts(handler) if code is None else code.co_flags & CO_VARKEYWORDS
