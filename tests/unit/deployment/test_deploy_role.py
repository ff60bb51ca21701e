"""The documented role can deploy every resource of the template, and no more than is reviewed.

What CloudFormation calls for a type is in the registry's schemas, `handlers`, which cfn-lint ships.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from imagedrop.doctor.account import reads
from tools.paths import PROJECT
from tools.template import as_list, load, translate

# Found without importing cfn-lint, which takes a second.
CFN_LINT = find_spec("cfnlint")
assert CFN_LINT is not None
assert CFN_LINT.origin is not None
SCHEMAS = Path(CFN_LINT.origin).parent / "data" / "schemas"
PAGE = PROJECT / "docs" / "first-deployment.md"
MANAGED_POLICY_CHARACTERS = 6144  # IAM counts them without white space
ENTRY = ("create", "read", "update", "delete")

# What handlers may call for properties that the template does not use.
UNUSED = (
    "apigateway:TagResource",  # an action of a later name; /tags is PUT and DELETE
    "apigateway:UntagResource",
    "application-autoscaling:*ScheduledAction*",
    "billing:*",
    "budgets:*",
    "cloudwatch:GetMetricData",  # predictive scaling
    "codedeploy:*",  # aliases that shift traffic step by step
    "dynamodb:*Item",  # replicas
    "dynamodb:*Kinesis*",
    "dynamodb:*Replica*",
    "dynamodb:*Import*",
    "dynamodb:*ContributorInsights",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:PutResourcePolicy",
    "dynamodb:DeleteResourcePolicy",
    "elasticfilesystem:*",
    "firehose:*",
    "iam:*GroupPolicy",
    "iam:*UserPolicy",
    "kinesis:*",
    "kms:ListAliases",
    "kms:ReEncrypt*",
    "kms:RevokeGrant",
    "kms:RetireGrant",
    "lambda:*CapacityProvider",
    "lambda:*CodeSigningConfig",
    "lambda:*ProvisionedConcurrencyConfig",
    "lambda:*RecursionConfig",
    "lambda:*ScalingConfig",
    "lambda:*RuntimeManagementConfig",
    "lambda:AssociateRuntimeAlias",
    "lambda:GetLayerVersion",
    "logs:*DataProtectionPolicy",
    "logs:*IndexPolic*",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutBearerTokenAuthentication",
    "logs:PutLogEvents",
    "logs:PutLogGroupDeletionProtection",
    "s3:*Abac",
    "s3:*Accelerate*",
    "s3:*Acl",
    "s3:*Analytics*",
    "s3:*CORS",
    "s3:*IntelligentTiering*",
    "s3:*Inventory*",
    "s3:*Metadata*",
    "s3:*Metrics*",
    "s3:*ObjectLock*",
    "s3:*Replication*",
    "s3:*Website",
    "s3:DeleteObject",
    "s3:PutBucketLogging",
    "s3:REST.PUT.OBJECT",
    "s3files:*",
    "s3tables:*",
    "sns:*DataProtectionPolicy",
)


@cache
def policies() -> dict[str, Any]:
    """The JSON blocks of the page, by the name in the comment before each."""
    blocks = re.findall(r"<!-- (\S+) -->\n```json\n(.*?)```", PAGE.read_text(), re.S)
    return {name: json.loads(text) for name, text in blocks}


DEPLOY = ("deploy-role-policy-1", "deploy-role-policy-2")


def statements(*names: str) -> list[dict[str, Any]]:
    return [each for name in names for each in policies()[name]["Statement"]]


def allowed(*names: str) -> list[str]:
    return [action for each in statements(*names) for action in as_list(each["Action"])]


@cache
def handlers(resource_type: str) -> frozenset[str]:
    """The permissions that CloudFormation's handlers of a type ask for."""
    file = json.loads((SCHEMAS / "providers" / "us-east-1.json").read_text())[resource_type]
    schema = json.loads((SCHEMAS / "resources" / f"{file}.json").read_text())
    found = schema["handlers"]
    return frozenset(
        action for name in ENTRY for action in found.get(name, {}).get("permissions", ())
    )


def types() -> list[str]:
    found = {each["Type"] for each in translate(load())["Resources"].values()}
    return sorted(each for each in found if not each.startswith("Custom::"))


def matches(action: str, patterns: tuple[str, ...] | list[str]) -> bool:
    return any(fnmatch.fnmatch(action.lower(), each.lower()) for each in patterns)


@pytest.mark.parametrize("resource_type", types())
def test_the_role_may_do_what_cloudformation_does_for(resource_type: str) -> None:
    granted = allowed(*DEPLOY)
    needed = {each for each in handlers(resource_type) if not matches(each, UNUSED)}
    assert sorted(each for each in needed if not matches(each, granted)) == []


def test_the_handlers_are_really_read() -> None:
    assert "sqs:CreateQueue" in handlers("AWS::SQS::Queue")
    assert "sagemaker:CreateEndpoint" in handlers("AWS::SageMaker::Endpoint")


def test_custom_resources_are_invoked_with_the_roles_own_permissions() -> None:
    assert matches("lambda:InvokeFunction", allowed(*DEPLOY))


@pytest.mark.parametrize("name", [*DEPLOY, "operator-policy"])
def test_a_policy_fits_into_a_managed_policy_and_has_no_service_wide_grant(name: str) -> None:
    policy = policies()[name]
    assert len(re.sub(r"\s", "", json.dumps(policy))) <= MANAGED_POLICY_CHARACTERS
    for action in allowed(name):
        service, _, verb = action.partition(":")
        assert verb != "*", action
        assert service != "iam" or "*" not in verb, action


def test_roles_are_passed_to_the_templates_services_only() -> None:
    (statement,) = (
        each for each in statements(*DEPLOY) if "iam:PassRole" in as_list(each["Action"])
    )
    assert statement["Resource"].endswith(":role/STACK-*")
    services = set(statement["Condition"]["StringEquals"]["iam:PassedToService"])
    trusted = set(trusted_services())
    assert services == trusted


def trusted_services() -> Iterator[str]:
    for resource in translate(load())["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            for each in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
                yield from as_list(each["Principal"].get("Service", []))


def test_only_the_repositorys_environment_may_assume_the_role() -> None:
    (statement,) = policies()["deploy-role-trust"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    conditions = statement["Condition"]["StringEquals"]
    subject = conditions["token.actions.githubusercontent.com:sub"]
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "deploy.yml").read_text())
    assert (
        subject == f"repo:OWNER/REPOSITORY:environment:{workflow['jobs']['deploy']['environment']}"
    )
    assert conditions["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"


def test_an_operator_may_make_every_read_of_the_doctor() -> None:
    target: Any = SimpleNamespace(client=lambda _service: None, outputs={})
    needed = {each.partition(" ")[0] for each in reads(target)}
    assert needed
    assert all(matches(each, allowed("operator-policy")) for each in needed)


def test_an_operator_may_forget_the_canary() -> None:
    page = (PROJECT / "docs" / "operations.md").read_text()
    block = page.partition("<!-- permissions of imagedrop forget -->\n```\n")[2].partition("```")[0]
    assert block.split()
    assert all(matches(each, allowed("operator-policy")) for each in block.split())
