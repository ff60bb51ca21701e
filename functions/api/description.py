"""The API's description, OpenAPI 3.1: the file that is served, and the routes in it."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("openapi.json")
_PARAMETER = re.compile(r"\\\{\w+\\\}")


@cache
def description() -> dict[str, Any]:
    """Returns the whole description."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def methods_of(path: str) -> list[str]:
    """Returns the methods that a path takes, in upper case; empty if there is no such path."""
    for template, operations in description()["paths"].items():
        pattern = _PARAMETER.sub("[^/]+", re.escape(template))
        if re.fullmatch(pattern, path):
            return [each.upper() for each in operations if each != "parameters"]
    return []
