"""Gap: the OpenAPI `Body` of an HTTP API is ignored, so SAM's HttpApi deploys without routes.

Imports what SAM writes: Lambda integrations, the `$default` route, IAM authorization and CORS.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-open-api.html
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from localcloud.emulator import patching

_LOOKS = {"create": "0002e18b4198", "update": "d12d60c12ed7"}
_ANY_METHOD = "x-amazon-apigateway-any-method"
_INTEGRATION = "x-amazon-apigateway-integration"
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", _ANY_METHOD})


def install() -> None:
    """Import the body when a stack creates or updates an HTTP API."""
    apis = patching.module("services.apigateway")
    patching.extend_resource("AWS::ApiGatewayV2::Api", _LOOKS, then=partial(_import_body, apis))


def _import_body(apis: Any, api_id: str, props: dict[str, Any]) -> None:
    body = props.get("Body")
    if not body:
        return
    apis._routes[api_id] = {}
    apis._integrations[api_id] = {}
    api = apis._apis[api_id]
    api["name"] = props.get("Name") or (body.get("info") or {}).get("title") or api["name"]
    cors = body.get("x-amazon-apigateway-cors")
    if cors:
        api["corsConfiguration"] = cors
    for route_key, operation in _operations(body):
        integration = operation.get(_INTEGRATION)
        if not integration:
            raise ValueError(f"route {route_key} of the HTTP API has no {_INTEGRATION}")
        integration_id = _stored_id(
            apis._create_integration(api_id, _integration_properties(integration)),
            apis._integrations[api_id],
        )
        apis._create_route(
            api_id,
            {
                "routeKey": route_key,
                "target": f"integrations/{integration_id}",
                "authorizationType": _authorization_type(body, operation, route_key),
            },
        )


def _operations(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Route keys (`GET /predictions/{id}`, `$default`) with their OpenAPI operations."""
    for path, operations in (body.get("paths") or {}).items():
        for method, operation in operations.items():
            if method.lower() not in _METHODS:
                continue
            if path == "/$default":
                yield "$default", operation
            else:
                verb = "ANY" if method.lower() == _ANY_METHOD else method.upper()
                yield f"{verb} {path}", operation


def _integration_properties(integration: dict[str, Any]) -> dict[str, Any]:
    return {
        "integrationType": str(integration.get("type", "")).upper(),
        "integrationUri": integration.get("uri", ""),
        "integrationMethod": integration.get("httpMethod", "POST"),
        "payloadFormatVersion": str(integration.get("payloadFormatVersion", "1.0")),
        "timeoutInMillis": int(integration.get("timeoutInMillis", 30000)),
    }


def _authorization_type(body: dict[str, Any], operation: dict[str, Any], route_key: str) -> str:
    """`NONE` or `AWS_IAM`; another scheme is refused rather than left open."""
    schemes = (body.get("components") or {}).get("securitySchemes") or {}
    for requirement in operation.get("security", body.get("security")) or []:
        for name in requirement:
            if name == "NONE":
                return "NONE"
            if (schemes.get(name) or {}).get("x-amazon-apigateway-authtype") == "awsSigv4":
                return "AWS_IAM"
            raise ValueError(f"authorizer {name} of route {route_key} is not emulated")
    return "NONE"


def _stored_id(response: Any, store: dict[str, Any]) -> str:
    if response[0] >= 400:
        raise ValueError(f"import of an HTTP API's body failed: {response[2]!r}")
    return next(reversed(store))
