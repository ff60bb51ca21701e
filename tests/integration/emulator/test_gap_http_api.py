"""Contract: the routes of SAM's HttpApi answer, and stay closed to unsigned callers."""

from __future__ import annotations

import json
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from localcloud import aws, cloud
from tests.integration.emulator.emulator_harness import Emulator, outputs

_ECHO = """
def handler(event, context):
    return {"route": event["routeKey"], "path": event.get("pathParameters")}
"""


_SIGNED = {"EnableIamAuthorizer": True, "DefaultAuthorizer": "AWS_IAM"}


def _template(path: str) -> dict[str, Any]:
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Api": {
                "Type": "AWS::Serverless::HttpApi",
                "Properties": {
                    "Auth": {"EnableIamAuthorizer": True, "DefaultAuthorizer": "AWS_IAM"}
                },
            },
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "Runtime": cloud.python_runtime(),
                    "Handler": "index.handler",
                    "InlineCode": _ECHO,
                    "Events": {
                        "Open": _route("GET", path, "NONE"),
                        "Signed": _route("GET", "/signed", "AWS_IAM"),
                    },
                },
            },
        },
        "Outputs": outputs(Api={"Ref": "Api"}),
    }


def _route(method: str, path: str, authorizer: str) -> dict[str, Any]:
    return {
        "Type": "HttpApi",
        "Properties": {
            "ApiId": {"Ref": "Api"},
            "Method": method,
            "Path": path,
            "Auth": {"Authorizer": authorizer},
        },
    }


def test_routes_of_an_http_api_answer_and_follow_an_update(emulator: Emulator) -> None:
    api = emulator.deploy("http-api", _template("/things/{id}"))["Api"]
    base = f"{emulator.url}/_aws/execute-api/{api}/$default"

    assert httpx.get(f"{base}/things/7").json() == {
        "route": "GET /things/{id}",
        "path": {"id": "7"},
    }
    assert httpx.get(f"{base}/nothing").status_code == 404
    assert httpx.get(f"{base}/signed").status_code == 403
    assert _signed_get(f"{base}/signed").json()["route"] == "GET /signed"

    emulator.deploy("http-api", _template("/other"))

    assert json.loads(httpx.get(f"{base}/other").text)["route"] == "GET /other"
    assert httpx.get(f"{base}/things/7").status_code == 404


def _signed_get(url: str) -> httpx.Response:
    request = AWSRequest("GET", url)
    credentials = aws.session().get_credentials()
    assert credentials is not None
    SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(request)
    return httpx.get(url, headers=dict(request.headers))
