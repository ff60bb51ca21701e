"""Break the template as ``seeded_faults.yaml`` says, and ask the rules."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.unit.template.rules import RULES
from tools.template import Json, load, translate

_FAULTS: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "seeded_faults.yaml").read_text()
)
# Each with the name of the rule that must find it.
SEEDED = [(rule, fault) for rule, faults in _FAULTS.items() for fault in faults]


def broken(fault: str) -> Json:
    """The template with one fault, translated.

    Raises:
        KeyError: the path is no longer there: the fault is out of date.
    """
    path, operator, value = re.fullmatch(r"(\S+)(?: (\+?=) (.*))?", fault).groups()  # type: ignore[union-attr]
    name = path.partition(".")[0]
    sam_leaves_it = name in _as_written()
    template = json.loads(_translated()) if sam_leaves_it else load()
    here, last = _at(template, path)
    if operator is None:
        del here[last]
    elif operator == "=":
        here[last] = yaml.safe_load(value)
    else:
        here[last].append(yaml.safe_load(value))
    return template if sam_leaves_it else translate(template)


@cache
def _translated() -> str:
    return json.dumps(translate(load()))


@cache
def _as_written() -> set[str]:
    """The resources that the transform changes in nothing: a fault in one stays what it is."""
    written, translated = load()["Resources"], json.loads(_translated())["Resources"]
    return {name for name, resource in written.items() if translated.get(name) == resource}


def objections(template: Json, expected: str) -> set[str]:
    """The expected rule, if it finds a fault; else those that do.

    A rule that meets a missing key finds no fault by that.
    """
    if _objects(expected, template):
        return {expected}
    return {name for name in RULES if _objects(name, template)}


def _objects(rule: str, template: Json) -> bool:
    try:
        return bool(list(RULES[rule](template)))
    except (KeyError, IndexError, TypeError, ValueError):
        return False


def _at(template: Json, path: str) -> tuple[Any, str | int]:
    """The container and the last step of a path."""
    here: Any = template
    steps = path[1:].split(".") if path.startswith("/") else ["Resources", *path.split(".")]
    for step in steps[:-1]:
        here = here[int(step) if isinstance(here, list) else step]
    return here, int(steps[-1]) if isinstance(here, list) else steps[-1]
