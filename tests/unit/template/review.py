"""Write down what each role may do, each function's variables and the stack's outputs.

``python -m tests.unit.template.review`` rewrites ``reviewed.txt``; a person reviews its diff.
A role may do what its policies allow and, where it has a permissions boundary, the boundary too.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tools.template import (
    EXTENDING,
    Json,
    as_list,
    load,
    of_type,
    properties,
    statements,
    text,
    translate,
    with_conditions,
)

REVIEWED = Path(__file__).parent / "reviewed.txt"
# The policies that SAM attaches, as AWS publishes them: actions, allowed on every resource.
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
AWS_POLICIES: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "aws_managed_policies.json").read_text()
)
# ARNs that a reference stands for, where another policy names them by a pattern.
ARNS = {
    "${Endpoint}": "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}"
    ":endpoint/${Endpoint.EndpointName}"
}


class Permission(NamedTuple):
    action: str
    resource: str
    condition: str = ""

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}" + (
            f" if {self.condition}" if self.condition else ""
        )


def review(template: Json) -> str:
    """Lines of ``reviewed.txt`` for a translated template."""
    sections = [*_roles(template), *_functions(template), *_stack(template)]
    return "\n".join(
        f"{name}\n" + "".join(f"  {line}\n" for line in lines) for name, lines in sections
    )


def allowed(template: Json, role_name: str, true: Collection[str] = EXTENDING) -> set[Permission]:
    """Permissions of a role: what its policies allow, within its boundary."""
    role = properties(template, role_name)
    policies = list(_policies(template, role))
    found = {each for policy in policies for each in _permissions(policy, "Allow", true)}
    boundary = _boundary(template, role)
    if boundary is None:
        return found
    limits = list(_permissions(boundary, "Allow", true))
    return {both for each in found for limit in limits for both in _both(each, limit)}


def denied(template: Json, role_name: str, true: Collection[str] = EXTENDING) -> set[Permission]:
    """Returns the actions that a role's policies or boundary deny."""
    role = properties(template, role_name)
    policies = [*_policies(template, role), _boundary(template, role) or {}]
    return {each for policy in policies for each in _permissions(policy, "Deny", true)}


def _roles(template: Json) -> Iterator[tuple[str, list[str]]]:
    for name, role in sorted(of_type(template, "AWS::IAM::Role").items()):
        lines = [
            f"trusts {text(*each['Principal'].values())} if {text(each.get('Condition'))}"
            for each in role["AssumeRolePolicyDocument"]["Statement"]
        ]
        always = set(_rights(template, name, ()))
        lines += sorted(always)
        for condition in EXTENDING:
            more = set(_rights(template, name, (condition,))) - always
            lines += [f"{each} when {condition}" for each in sorted(more)]
        yield name, lines


def _rights(template: Json, role: str, true: Collection[str]) -> Iterator[str]:
    yield from map(str, allowed(template, role, true))
    yield from (f"never {each}" for each in denied(template, role, true))


def _functions(template: Json) -> Iterator[tuple[str, list[str]]]:
    permissions = of_type(template, "AWS::Lambda::Permission").values()
    for name, function in sorted(of_type(template, "AWS::Lambda::Function").items()):
        told = function.get("Environment", {}).get("Variables", {})
        lines = [f"{key} = {text(value)}" for key, value in sorted(told.items())]
        lines += [
            f"called by {each['Principal']} for {text(each.get('SourceArn'))}"
            for each in permissions
            if text(each["FunctionName"]) == f"${{{name}}}"
        ]
        yield name, lines


def _stack(template: Json) -> Iterator[tuple[str, list[str]]]:
    for name, api in of_type(template, "AWS::ApiGatewayV2::Api").items():
        paths = with_conditions(api["Body"], ())["paths"]
        yield name, [f"{verb} {path}" for path, verbs in paths.items() for verb in verbs]
    outputs = {name: text(each["Value"]) for name, each in template["Outputs"].items()}
    yield "Outputs", [f"{name} = {value}" for name, value in sorted(outputs.items())]


def _policies(template: Json, role: Json) -> Iterator[Json]:
    yield from role.get("Policies", [])
    for arn in role.get("ManagedPolicyArns", []):
        match arn:
            case {"Ref": name} if name in template["Resources"]:
                yield properties(template, name)
            case _:  # an unknown one counts as everything
                actions = AWS_POLICIES.get(text(arn).partition(":policy/")[2], ["*"])
                yield {
                    "PolicyDocument": {
                        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
                    }
                }


def _boundary(template: Json, role: Json) -> Json | None:
    boundary = role.get("PermissionsBoundary")
    return None if boundary is None else properties(template, boundary["Ref"])


def _permissions(policy: Json, effect: str, true: Collection[str]) -> Iterator[Permission]:
    for statement in statements(policy, true) if policy else ():
        if statement["Effect"] == effect:
            condition = text(statement["Condition"]) if "Condition" in statement else ""
            for action in as_list(statement["Action"]):
                for resource in map(_arn, as_list(statement["Resource"])):
                    yield Permission(action, ARNS.get(resource, resource), condition)


def _arn(resource: Json | str) -> str:
    """Writes a resource on one line; ``StackSuffix`` is a part of the stack's id wherever it is."""
    match resource:
        case {"Fn::Sub": [str(template), {"StackSuffix": _, **others}]} if not others:
            return template
    return text(resource)


def _both(one: Permission, other: Permission) -> Iterator[Permission]:
    """Returns the intersection of two permissions: nothing or one permission."""
    action = _common(one.action, other.action)
    resource = action and _common(one.resource, other.resource)
    if action and resource:
        conditions = [each for each in (one.condition, other.condition) if each]
        yield Permission(action, resource, " and ".join(conditions))


@cache
def _common(one: str, other: str) -> str | None:
    """The pattern of what two patterns with ``*`` both match, or ``None``.

    Raises:
        ValueError: they overlap, but neither contains the other.
    """
    if _contains(one, other):
        return other
    if _contains(other, one):
        return one
    if _overlap(one, other):
        raise ValueError(f"cannot compute what {one} and {other} have in common")
    return None


@cache
def _contains(pattern: str, other: str) -> bool:
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), other))


@cache
def _overlap(one: str, other: str) -> bool:
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return _overlap(one[1:], other) or _overlap(one, other[1:])
    if other[0] == "*":
        return _overlap(other, one)
    return one[0] == other[0] and _overlap(one[1:], other[1:])


if __name__ == "__main__":
    REVIEWED.write_text(review(translate(load())))
