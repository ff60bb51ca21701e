"""template.yaml as a plan needs it: its parameters, and the resources created for given values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from imagedrop.errors import UserError

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
Json = dict[str, Any]


class _Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms (``!Ref``) as the long ones."""


def _intrinsic(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> Json:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = node.value
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    parameters: Mapping[str, Json]
    conditions: Mapping[str, Json]
    resources: Mapping[str, Json]
    mappings: Mapping[str, Json]

    def values(self, given: Mapping[str, str]) -> dict[str, str]:
        """Returns every parameter's value: the given ones, and the defaults of the others.

        Raises:
            UserError: the template has no such parameter, or does not allow the value.
        """
        for name, value in given.items():
            self._check(name, value)
        defaults = {name: str(each.get("Default", "")) for name, each in self.parameters.items()}
        return defaults | dict(given)

    def _check(self, name: str, value: str) -> None:
        if name not in self.parameters:
            raise UserError(
                f"template.yaml has no parameter {name}.",
                f"It has: {', '.join(sorted(self.parameters))}",
            )
        rule = self.parameters[name]
        allowed = [str(each) for each in rule.get("AllowedValues", ())]
        if allowed and value not in allowed:
            raise UserError(f"{name} cannot be {value!r}.", f"It can be: {', '.join(allowed)}")
        pattern = rule.get("AllowedPattern")
        if pattern and not re.fullmatch(pattern, value):
            raise UserError(f"{name} cannot be {value!r}.", f"It must match: {pattern}")
        if rule["Type"] == "Number":
            _check_number(name, value, rule)

    def created(self, values: Mapping[str, str]) -> dict[str, str]:
        """Returns the types of the resources that are created, by logical id.

        Args:
            values: all parameters, see `values`.
        """
        return {
            logical_id: each["Type"]
            for logical_id, each in self.resources.items()
            if "Condition" not in each or self._holds({"Condition": each["Condition"]}, values)
        }

    def _holds(self, condition: Json, values: Mapping[str, str]) -> bool:
        match condition:
            case {"Condition": name}:
                return self._holds(self.conditions[name], values)
            case {"Fn::Not": [one]}:
                return not self._holds(one, values)
            case {"Fn::And": several}:
                return all(self._holds(each, values) for each in several)
            case {"Fn::Or": several}:
                return any(self._holds(each, values) for each in several)
            case {"Fn::Equals": [left, right]}:
                return self._value(left, values) == self._value(right, values)
            case _:
                raise NotImplementedError(f"a plan cannot evaluate the condition {condition}")

    def _value(self, value: Any, values: Mapping[str, str]) -> str:
        match value:
            case {"Ref": name}:
                return values[name]
            case {"Fn::FindInMap": [name, first, second]}:
                return str(self.mappings[name][first][second])
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(self._list(parts, values))
            case {"Fn::Select": [index, parts]}:
                return self._list(parts, values)[int(index)]
            case str() | int() | float():
                return str(value)
            case _:
                raise NotImplementedError(f"a plan cannot evaluate {value}")

    def _list(self, value: Any, values: Mapping[str, str]) -> list[str]:
        match value:
            case {"Ref": name}:  # a list parameter, separated by commas
                return values[name].split(",")
            case {"Fn::Split": [separator, whole]}:
                return self._value(whole, values).split(separator)
            case _:
                raise NotImplementedError(f"a plan cannot evaluate the list {value}")


def _check_number(name: str, value: str, rule: Json) -> None:
    number = float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else None
    lowest, highest = rule.get("MinValue"), rule.get("MaxValue")
    is_low = number is not None and lowest is not None and number < lowest
    is_high = number is not None and highest is not None and number > highest
    if number is None or is_low or is_high:
        bounds = f" from {lowest}" * (lowest is not None) + f" to {highest}" * (highest is not None)
        raise UserError(f"{name} cannot be {value!r}.", f"It is a number{bounds}.")


def load_template(path: Path = TEMPLATE) -> Template:
    """Reads a template."""
    found = _Loader(path.read_text()).get_single_data()
    return Template(
        found["Parameters"],
        found.get("Conditions", {}),
        found["Resources"],
        found.get("Mappings", {}),
    )


# A plain name for each type, in the template and in SAM's translation.
KINDS = {
    "AWS::ApiGatewayV2::Api": "HTTP API",
    "AWS::ApiGatewayV2::Stage": "HTTP API's stage",
    "AWS::ApplicationAutoScaling::ScalableTarget": "autoscaling target",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "autoscaling policy",
    "AWS::CloudWatch::Alarm": "alarm",
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::DynamoDB::Table": "table",
    "AWS::ECR::Repository": "image repository",
    "AWS::Events::Rule": "event rule",
    "AWS::IAM::ManagedPolicy": "IAM policy",
    "AWS::IAM::Role": "IAM role",
    "AWS::KMS::Key": "KMS key",
    "AWS::Lambda::Alias": "Lambda alias",
    "AWS::Lambda::EventSourceMapping": "event source mapping",
    "AWS::Lambda::Function": "Lambda function",
    "AWS::Lambda::Permission": "Lambda permission",
    "AWS::Lambda::Version": "Lambda version",
    "AWS::Logs::LogGroup": "log group",
    "AWS::S3::Bucket": "bucket",
    "AWS::S3::BucketPolicy": "bucket policy",
    "AWS::SNS::Topic": "notification topic",
    "AWS::SQS::Queue": "queue",
    "AWS::SQS::QueuePolicy": "queue policy",
    "AWS::SageMaker::Endpoint": "SageMaker endpoint",
    "AWS::SageMaker::EndpointConfig": "endpoint configuration",
    "AWS::SageMaker::Model": "SageMaker model",
    "AWS::Serverless::Function": "Lambda function with its role",
    "AWS::Serverless::HttpApi": "HTTP API",
    "AWS::Serverless::StateMachine": "state machine",
    "AWS::StepFunctions::StateMachine": "state machine",
}
_CUSTOM = "step of the deployment itself"


def count_kinds(created: Mapping[str, str]) -> dict[str, int]:
    """Counts created resources by kind, the most frequent first.

    Args:
        created: types by logical id.
    """
    kinds = (
        _CUSTOM if each.startswith("Custom::") else KINDS.get(each, each)
        for each in created.values()
    )
    return dict(Counter(kinds).most_common())
