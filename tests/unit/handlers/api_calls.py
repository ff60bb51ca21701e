"""Requests to the API as API Gateway hands them to the function."""

from __future__ import annotations

import json
from typing import Any

from handlers import api
from tests.unit.handlers.test_classify import Context

ANN = {"iam": {"userArn": "arn:aws:iam::123456789012:user/ann"}}


def call(
    method: str,
    path: str,
    parameters: dict[str, str] | None = None,
    *,
    body: object = None,
    headers: dict[str, str] | None = None,
    authorizer: object = ANN,
) -> tuple[int, Any, dict[str, str]]:
    """Returns the status, the body (parsed if it is JSON) and the headers of an answer."""
    event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers or {},
        "queryStringParameters": parameters or {},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
            "authorizer": authorizer,
            "stage": "$default",
            "requestId": "1",
        },
        "body": body if isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }
    response = api.handler(event, Context())  # type: ignore[arg-type]
    headers = response["headers"]
    is_json = "json" in headers.get("Content-Type", "")
    return response["statusCode"], json.loads(response["body"]) if is_json else response, headers
