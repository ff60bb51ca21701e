"""Rules about permissions."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

from tests.unit.template.review import REVIEWED, review
from tests.unit.template.rules.registry import Faults, rule, value
from tools.template import Json, as_list, of_type, properties, statements, text

# These actions do not support resources, or the service requires all: AWS accepts "*" alone.
WITHOUT_RESOURCES = {
    "sagemaker:ListModelPackageGroups",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
# Lambda names the account when it assumes a role; a function is named only after its role.
WITHOUT_SOURCE_ARN = {"lambda.amazonaws.com"}


@rule
def permissions_settings_and_outputs_are_as_reviewed(template: Json) -> Faults:
    """``python -m tests.unit.template.review`` rewrites what is reviewed as a diff."""
    reviewed, now = REVIEWED.read_text().splitlines(), review(template).splitlines()
    changes = list(difflib.unified_diff(reviewed, now, "reviewed.txt", "template.yaml", n=0))
    yield from changes[2:]
    yield from of_type(template, "AWS::IAM::Policy")  # outside of every role's own list


@rule
def every_function_has_its_own_role_within_the_boundary(template: Json) -> Faults:
    roles = [text(each["Role"]) for each in of_type(template, "AWS::Lambda::Function").values()]
    yield from {role for role in roles if roles.count(role) > 1}
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for_function = f"${{{name}.Arn}}" in roles
        if for_function and role.get("PermissionsBoundary") != {"Ref": "FunctionBoundary"}:
            yield f"{name}: AWS's own policies are not limited to this stack"
        # AWS's own policies name every queue, every log group or every bucket of the account.
        if not for_function and role.get("ManagedPolicyArns") != [{"Ref": "DataKeyPolicy"}]:
            yield f"{name}: {role.get('ManagedPolicyArns')}"


@rule
def the_stacks_policies_are_for_its_roles_only(template: Json) -> Faults:
    for name, policy in of_type(template, "AWS::IAM::ManagedPolicy").items():
        if {"Roles", "Users", "Groups"} & set(policy):
            yield f"{name}: attached to others"


@rule
def no_permission_is_a_wildcard(template: Json) -> Faults:
    for name, statement in _granted(template):
        actions = set(as_list(statement["Action"]))
        yield from (f"{name}: {action}" for action in actions if "*" in action)
        network = all(action.startswith("ec2:") for action in actions)  # in a VPC; reviewed
        if "*" in as_list(statement["Resource"]) and not network | (actions <= WITHOUT_RESOURCES):
            yield f"{name}: {sorted(actions)} on everything"


@rule
def no_role_writes_where_images_are_dropped(template: Json) -> Faults:
    # A role that classifies images and can write one could trigger itself forever.
    for name, statement in _granted(template):
        actions = as_list(statement["Action"])
        writes = any(
            each.startswith(("s3:Put", "s3:Delete", "s3:*", "s3:Restore")) for each in actions
        )
        if writes and "ImagesBucket" in str(statement["Resource"]) and name != "UploadFormRole":
            yield f"{name}: {actions}"


FORM_ROLE = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${AWS::StackName}-upload-form/*"


@rule
def forms_alone_write_where_images_are_dropped(template: Json) -> Faults:
    """One role may put photos, and only by a presigned form; ApiFunction alone signs with it."""
    if value(template, "UploadFormRole.Path.Fn::Sub") != "/${AWS::StackName}-upload-form/":
        yield "UploadFormRole has another path"
    granted = [each for name, each in _granted(template) if name == "UploadFormRole"]
    kinds = {"s3:authType": "POST", "s3:signatureversion": "AWS4-HMAC-SHA256"}
    put = {
        "Effect": "Allow",
        "Action": "s3:PutObject",
        "Resource": {"Fn::Sub": "${ImagesBucket.Arn}/incoming/*"},
        "Condition": {"StringEquals": kinds},
    }
    if granted != [put]:
        yield f"UploadFormRole: {granted}"
    trusted = properties(template, "UploadFormRole")["AssumeRolePolicyDocument"]["Statement"]
    if [text(each["Principal"].get("AWS")) for each in trusted] != ["${ApiFunctionRole.Arn}"]:
        yield f"UploadFormRole trusts {trusted}"
    for name, statement in _granted(template):
        becomes = any(each.startswith("sts:") for each in as_list(statement["Action"]))
        if becomes and (name, text(statement["Resource"])) != ("ApiFunctionRole", FORM_ROLE):
            yield f"{name} may become {statement['Resource']}"


@rule
def only_a_person_promotes_a_model(template: Json) -> Faults:
    promoting = {"sagemaker:UpdateEndpoint", "sagemaker:UpdateModelPackage"}
    lists = {f"${{ModelsBucket.Arn}}/{each}" for each in ("*", "models/*")}
    for name, statement in _granted(template):
        actions = set(as_list(statement["Action"]))
        yield from (f"{name}: {action}" for action in promoting & actions)
        writes = {"s3:PutObject", "s3:DeleteObject"} & actions
        if writes and lists & {text(each) for each in as_list(statement["Resource"])}:
            yield f"{name} may write the list of promotions"


@rule
def no_service_is_a_confused_deputy(template: Json) -> Faults:
    """A service acts for this account, and where it names a resource, for this stack's."""
    for name, statement in _service_statements(template):
        service = text(statement["Principal"]["Service"])
        condition = statement.get("Condition", {})
        given = json.dumps(condition)
        own_account = '"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}' in given
        if service.startswith("logs."):  # names the group in the encryption's context instead
            if "kms:EncryptionContext:aws:logs:arn" not in given or "AWS::AccountId" not in given:
                yield f"{name}: {service}"
        elif not own_account:
            yield f"{name}: {service} of any account"
        elif service not in WITHOUT_SOURCE_ARN and '"aws:SourceArn": ' not in given:
            yield f"{name}: {service} for any resource"
        for operator in ("ArnLike", "ArnEquals"):
            for arn in as_list(condition.get(operator, {}).get("aws:SourceArn", [])):
                if text(arn).endswith(":*") and service != "sagemaker.amazonaws.com":
                    yield f"{name}: {text(arn)}"


@rule
def grants_on_the_key_are_for_services_only(template: Json) -> Faults:
    conditions = {"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "false"}
    denied = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "kms:CreateGrant",
        "Resource": "*",
        "Condition": {"BoolIfExists": conditions},
    }
    for name, key in of_type(template, "AWS::KMS::Key").items():
        found = [dict(each, Sid="") for each in key["KeyPolicy"]["Statement"]]
        if dict(denied, Sid="") not in found:
            yield name


@rule
def roles_grant_the_key_to_services_only(template: Json) -> Faults:
    # A key that is not the stack's own may lack the key policy's Deny.
    for name, statement in _granted(template):
        if "kms:CreateGrant" in as_list(statement["Action"]) and statement.get("Condition") != {
            "Bool": {"kms:GrantIsForAWSResource": "true"}
        }:
            yield name


@rule
def only_this_stacks_api_and_rule_call_a_function(template: Json) -> Faults:
    rules = {f"${{{name}.Arn}}" for name in of_type(template, "AWS::Events::Rule")}
    for name, permission in of_type(template, "AWS::Lambda::Permission").items():
        source = text(permission.get("SourceArn"))
        if "HttpApi" not in source and source not in rules:
            yield name


def _granted(template: Json) -> Iterator[tuple[str, Json]]:
    """Returns the permissions of the template's policies, without AWS's and the boundary."""
    policies = [
        *of_type(template, "AWS::IAM::ManagedPolicy").items(),
        *(
            (name, policy)
            for name, role in of_type(template, "AWS::IAM::Role").items()
            for policy in role.get("Policies", [])
        ),
    ]
    for name, policy in policies:
        if name != "FunctionBoundary":
            for statement in statements(policy):
                if statement["Effect"] == "Allow":
                    yield name, statement


def _service_statements(template: Json) -> Iterator[tuple[str, Json]]:
    """Statements that let a service in, of trust, queue, bucket and key policies."""
    for name, resource in template["Resources"].items():
        for document in ("AssumeRolePolicyDocument", "PolicyDocument", "KeyPolicy"):
            for statement in resource.get("Properties", {}).get(document, {}).get("Statement", []):
                if "Service" in (statement.get("Principal") or {}):
                    yield name, statement
