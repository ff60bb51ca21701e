"""Contract: a path with any character reaches the function behind a path variable."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from localcloud import cloud
from tests.integration.emulator.emulator_harness import Emulator, outputs

_ECHO = """
def handler(event, context):
    return {"route": event["routeKey"], "path": event["pathParameters"]}
"""


def _event(path: str) -> dict[str, Any]:
    return {
        "Type": "HttpApi",
        "Properties": {"ApiId": {"Ref": "Api"}, "Method": "GET", "Path": path},
    }


@pytest.fixture(scope="module")
def api(emulator: Emulator) -> str:
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Api": {"Type": "AWS::Serverless::HttpApi"},
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Runtime": cloud.python_runtime(),
                    "Handler": "index.handler",
                    "InlineCode": _ECHO,
                    "Events": {"Any": _event("/{proxy+}"), "One": _event("/page/{name}")},
                },
            },
        },
        "Outputs": outputs(Api={"Ref": "Api"}),
    }
    return f"{emulator.url}/_aws/execute-api/{emulator.deploy('paths', template)['Api']}/$default"


@pytest.mark.parametrize(
    ("path", "route", "values"),
    [
        ("a/b%0Ac", "GET /{proxy+}", {"proxy": "a/b\nc"}),
        ("%0A", "GET /{proxy+}", {"proxy": "\n"}),
        ("page/a%0A", "GET /page/{name}", {"name": "a\n"}),
        ("page/a", "GET /page/{name}", {"name": "a"}),
        ("page/a/b", "GET /{proxy+}", {"proxy": "page/a/b"}),
    ],
)
def test_a_path_variable_holds_any_character(
    api: str, path: str, route: str, values: dict[str, str]
) -> None:
    assert httpx.get(f"{api}/{path}").json() == {"route": route, "path": values}
