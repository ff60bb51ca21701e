"""The translated template's IAM policies as plain documents, for a validator of policies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.template import EXTENDING, Json, of_type, with_conditions

PSEUDO_PARAMETERS = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "imagedrop",
    "AWS::URLSuffix": "amazonaws.com",
}
_HERE = "us-east-1:123456789012"
# The result of Ref or GetAtt Arn for a resource that a policy names; {} is its logical id.
_ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{_HERE}:table/{{}}",
    "AWS::ECR::Repository": f"arn:aws:ecr:{_HERE}:repository/{{}}",
    "AWS::KMS::Key": f"arn:aws:kms:{_HERE}:key/{{}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{_HERE}:function:{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{_HERE}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SageMaker::Endpoint": f"arn:aws:sagemaker:{_HERE}:endpoint/{{}}",
    "AWS::SNS::Topic": f"arn:aws:sns:{_HERE}:{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{_HERE}:{{}}",
}


def policies(template: Json) -> Iterator[tuple[str, Json]]:
    """Yields each policy of roles and each managed policy, by a name, without intrinsics.

    Conditions under which a role may do more are true.
    """
    decided = with_conditions(template, {*EXTENDING, "MakesKey"})
    for name, policy in of_type(decided, "AWS::IAM::ManagedPolicy").items():
        yield name, _plain(policy["PolicyDocument"], decided)
    for name, role in of_type(decided, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            yield f"{name}-{policy['PolicyName']}", _plain(policy["PolicyDocument"], decided)


def _plain(value: Any, template: Json) -> Any:
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), _]}:
            return _named(name, template, {})
        case {"Fn::Sub": [str(text), dict(given)]}:
            return _substituted(text, template, given)
        case {"Fn::Sub": str(text)}:
            return _substituted(text, template, {})
        case dict():
            return {key: _plain(item, template) for key, item in value.items()}
        case list():
            return [_plain(item, template) for item in value]
        case _:
            return value


def _substituted(text: str, template: Json, given: Mapping[str, Any]) -> str:
    return re.sub(
        r"\$\{([^}]+)\}", lambda found: _named(found[1].partition(".")[0], template, given), text
    )


def _named(name: str, template: Json, given: Mapping[str, Any]) -> str:
    if name in PSEUDO_PARAMETERS:
        return PSEUDO_PARAMETERS[name]
    resource = template["Resources"].get(name)
    if resource is None:  # a parameter, or a value of Fn::Sub's own
        return "123456789012" if name in given else name.lower()
    return _ARNS[resource["Type"]].format(name)
