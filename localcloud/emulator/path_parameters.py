"""Gap: a path with a line end (`%0A`) fits no route, so the emulator answers in the API's place.

On AWS a greedy path variable catches every request below it:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching

_LOOKS = "d3aaa9aa2c53"


def install() -> None:
    """Let a path variable hold any character."""
    apis = patching.module("services.apigateway")
    patching.replace(apis, "_extract_path_params", _LOOKS, _of_any_character)


def _of_any_character(_original: Callable[..., Any]) -> Callable[..., Any]:
    def extract(route_path: str, request_path: str) -> dict[str, str] | None:
        texts_and_names = re.split(r"\{([^}]+)\}", route_path)
        names = texts_and_names[1::2]
        values = ["(.+)" if each.endswith("+") else "([^/]+)" for each in names]
        texts = [re.escape(each) for each in texts_and_names[::2]]
        pattern = "".join(text + value for text, value in zip(texts, [*values, ""], strict=True))
        found = re.fullmatch(pattern, request_path, re.DOTALL)
        if found is None:
            return None
        return dict(zip((each.removesuffix("+") for each in names), found.groups(), strict=True))

    return extract
