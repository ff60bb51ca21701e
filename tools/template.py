"""``template.yaml`` as CloudFormation sees it: parsed, and after the SAM transform."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import boto3
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from tools.paths import PROJECT

Json = dict[str, Any]

TEMPLATE = PROJECT / "template.yaml"
NO_VALUE = {"Ref": "AWS::NoValue"}
# Conditions under which a role may do more.
EXTENDING = (
    *("AnotherSource", "HasAlarmEmail", "InVpc", "MakesImage", "ModelInVpc", "SendsNotices"),
)


def load() -> Json:
    """``template.yaml``, parsed; a new copy at each call."""
    template: Json = json.loads(_parsed())
    return template


@cache
def _parsed() -> str:
    return json.dumps(yaml_parse(TEMPLATE.read_text()))


def translate(raw: Json) -> Json:
    """Apply the SAM transform to a parsed template; the argument is not changed."""
    template = json.loads(json.dumps(raw))
    # The translator accepts code in S3 only, as after `sam package`.
    template["Globals"]["Function"]["CodeUri"] = "s3://code-bucket/functions"
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            resource["Properties"]["DefinitionUri"] = "s3://code-bucket/bulk.asl.json"
    translator = Translator({}, Parser(), boto_session=_session())
    translated: Json = translator.translate(template, {})
    return translated


@cache
def _session() -> boto3.Session:
    return boto3.Session(region_name="us-east-1")


def of_type(template: Json, resource_type: str) -> dict[str, Json]:
    """Properties of the resources of one type, by logical id."""
    return {
        logical_id: resource.get("Properties", {})
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == resource_type
    }


def properties(template: Json, logical_id: str) -> Json:
    found: Json = template["Resources"][logical_id].get("Properties", {})
    return found


def statements(policy: Json, true: Collection[str] = EXTENDING) -> list[Json]:
    """Statements of a policy; by default those that depend on a parameter too."""
    found: list[Json] = with_conditions(policy["PolicyDocument"]["Statement"], true)
    return found


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """Write a value with its intrinsics on one line: ``${Table.Arn}/index/by_time``."""
    match value:
        case str():
            return value
        case {"Fn::Sub": str(template)}:
            return template
        case {"Fn::GetAtt": list(path)}:
            return "${" + ".".join(path) + "}"
        case {"Ref": name}:
            return "${" + str(name) + "}"
        case _:
            return json.dumps(value, sort_keys=True)


def with_conditions(value: Any, true: Collection[str]) -> Any:
    """Decide every ``Fn::If`` in ``value``, and leave out ``AWS::NoValue``."""
    match value:
        case {"Fn::If": [name, yes, no]}:
            return with_conditions(yes if name in true else no, true)
        case dict():
            decided = {key: with_conditions(item, true) for key, item in value.items()}
            return {key: item for key, item in decided.items() if item != NO_VALUE}
        case list():
            decided_items = (with_conditions(item, true) for item in value)
            return [item for item in decided_items if item != NO_VALUE]
        case _:
            return value


def references(value: Any) -> Iterator[str]:
    """Yield the logical ids and parameters that a value refers to."""
    match value:
        case {"Ref": name}:
            yield str(name)
        case {"Fn::GetAtt": [name, *_]}:
            yield str(name)
        case {"Fn::Sub": str(template)}:
            yield from re.findall(r"\$\{([^!.}]+)", template)
        case dict():
            for item in value.values():
                yield from references(item)
        case list():
            for item in value:
                yield from references(item)
