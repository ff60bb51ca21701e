"""The rules by name, and their shared code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tools.template import Json, of_type, properties

Faults = Iterator[str]
Rule = Callable[[Json], Faults]

RULES: dict[str, Rule] = {}

# The stack's own key, or the first of those that a parameter names.
ALL_KEYS = {"Fn::Split": [",", {"Ref": "DataKeyArns"}]}
FIRST_KEY = {"Fn::Select": [0, ALL_KEYS]}
DATA_KEY = {"Fn::If": ["MakesKey", {"Fn::GetAtt": ["DataKey", "Arn"]}, FIRST_KEY]}


def rule(check: Rule) -> Rule:
    """Enter a rule under its name."""
    RULES[check.__name__] = check
    return check


def value(template: Json, path: str, missing: Any = None) -> Any:
    """Look up ``LogicalId.Property.Property…``; ``missing`` where a step is not there."""
    logical_id, *steps = path.split(".")
    here: Any = properties(template, logical_id)
    for step in steps:
        if not isinstance(here, dict) or step not in here:
            return missing
        here = here[step]
    return here


def mapping(template: Json) -> Json:
    """The event source mapping of the images queue."""
    queue = {"Fn::GetAtt": ["ImagesQueue", "Arn"]}
    mappings = of_type(template, "AWS::Lambda::EventSourceMapping").values()
    (found,) = (each for each in mappings if each["EventSourceArn"] == queue)
    return found
