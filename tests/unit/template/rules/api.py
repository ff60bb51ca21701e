"""The HTTP API."""

from __future__ import annotations

import re

from tests.unit.template.rules.registry import Faults, rule
from tools.template import Json, of_type, text, with_conditions

ISSUER_AND_AUDIENCE = {"Fn::Split": [",", {"Fn::Sub": "${JwtIssuerAndAudience},"}]}
BY_TOKEN = {
    "type": "jwt",
    "identitySource": "$request.header.Authorization",
    "jwtConfiguration": {
        "issuer": {"Fn::Select": [0, ISSUER_AND_AUDIENCE]},
        "audience": [{"Fn::Select": [1, ISSUER_AND_AUDIENCE]}],
    },
}


# The files of the page, which people load before they sign in.
PAGE_ROUTES = {("/", "get"), ("/host.json", "get"), ("/page/{name}", "get")}


@rule
def every_route_but_the_page_asks_for_credentials(template: Json) -> Faults:
    for name, api in of_type(template, "AWS::ApiGatewayV2::Api").items():
        for conditions, scheme in ((set[str](), "AWS_IAM"), ({"ByToken"}, "JWT")):
            body = with_conditions(api["Body"], conditions)
            of_page = PAGE_ROUTES if scheme == "JWT" else set()
            operations = [
                operation
                for path, verbs in body["paths"].items()
                for verb, operation in verbs.items()
                if (path, verb) not in of_page
            ]
            if not operations:
                yield f"{name}: no routes"
            if any(each.get("security") != [{scheme: []}] for each in operations):
                yield f"{name}: a route is open, or asks for something else than {scheme}"
        schemes = body.get("components", {}).get("securitySchemes", {})
        if schemes.get("AWS_IAM", {}).get("x-amazon-apigateway-authtype") != "awsSigv4":
            yield f"{name}: AWS_IAM is not what it says"
        if schemes.get("JWT", {}).get("x-amazon-apigateway-authorizer") != BY_TOKEN:
            yield f"{name}: JWT is not what it says"


@rule
def credentials_are_the_default_and_tokens_name_their_audience(template: Json) -> Faults:
    no_issuer = {"Fn::Equals": [{"Ref": "JwtIssuerAndAudience"}, ""]}
    parameter = template["Parameters"]["JwtIssuerAndAudience"]
    if parameter["Default"] != "":
        yield "tokens open the API by default"
    if template["Conditions"].get("ByToken") != {"Fn::Not": [no_issuer]}:
        yield "ByToken"
    for value in ("https://issuer.example", "https://issuer.example,", "http://issuer.example,api"):
        if re.fullmatch(parameter.get("AllowedPattern", ".*"), value):
            yield f"tokens for any audience, or of an issuer without TLS: {value}"


@rule
def no_other_site_may_call_the_api(template: Json) -> Faults:
    for name, api in of_type(template, "AWS::ApiGatewayV2::Api").items():
        cors = api.get("CorsConfiguration", api["Body"].get("x-amazon-apigateway-cors"))
        if cors is not None:
            yield f"{name}: {cors}"


@rule
def the_api_is_throttled(template: Json) -> Faults:
    for name, stage in of_type(template, "AWS::ApiGatewayV2::Stage").items():
        settings = stage.get("DefaultRouteSettings", {})
        for setting in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
            if not 0 < settings.get(setting, 0) <= 1000:
                yield f"{name}: {setting}"


@rule
def the_api_writes_access_logs(template: Json) -> Faults:
    for name, stage in of_type(template, "AWS::ApiGatewayV2::Stage").items():
        if text(stage.get("AccessLogSettings", {}).get("DestinationArn")) != "${ApiAccessLogs.Arn}":
            yield name
