"""Checks of a deployed stack: identity, permissions, quotas, endpoint, API, alarms, one photo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from archive.card import ArchiveError
from imagedrop.deployment.account import Account, open_account
from imagedrop.deployment.quotas import Quota, ask_quotas
from imagedrop.deployment.remedies import next_step
from imagedrop.deployment.stacks import Stack
from imagedrop.deployment.template import load_template
from imagedrop.doctor.canary import NAME as CANARY
from imagedrop.doctor.canary import send_canary
from imagedrop.doctor.checks import GRANT, UNREACHABLE, Check, guarded
from imagedrop.errors import UserError
from imagedrop.models.probe import ProbeError, probe
from imagedrop.samconfig import SavedDeployment
from imagedrop.target import Target
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.service_errors import error_code
from registry.served_model import served_model

DEPLOYED = frozenset(
    {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}
)
API_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed stack, with its template's parameters."""

    target: Target
    name: str
    parameters: Mapping[str, str]
    functions: int


def check_account(
    session: boto3.Session, saved: SavedDeployment, *, canary: bool, http: httpx.Client
) -> Iterator[Check]:
    """Yields the checks as they end; after one that prevents the others it stops.

    Args:
        canary: send one photo too.
        http: calls the API.
    """
    try:
        account = open_account(session)
    except UserError as error:
        yield Check("credentials", False, str(error), error.next_step)
        return
    yield Check("credentials", True, str(account))
    found: list[Deployed] = []
    yield guarded("stack", lambda: _check_stack(session, account, saved.stack_name, found))
    for deployed in found:
        yield guarded("permissions", lambda: check_permissions(deployed.target))  # noqa: B023
        yield from _check_quotas(account, deployed)
        yield guarded("endpoint", lambda: check_endpoint(deployed.target))  # noqa: B023
        yield guarded("api", lambda: check_api(deployed, http))  # noqa: B023
        yield guarded("alarms", lambda: check_alarms(deployed))  # noqa: B023
        if canary:
            yield guarded(CANARY, lambda: send_canary(deployed.target))  # noqa: B023


def _check_stack(
    session: boto3.Session, account: Account, name: str, found: list[Deployed]
) -> Check:
    stack = Stack(account.clients("cloudformation"), name)
    description = stack.describe()
    if description is None:
        return Check("stack", False, f"{name} is not deployed in {account}", "imagedrop deploy")
    status = description["StackStatus"]
    if status not in DEPLOYED:
        reasons = [f"{each.resource}: {each.reason}" for each in stack.failures()]
        steps = [next_step(each.reason) for each in stack.failures()]
        step = " ".join(dict.fromkeys(steps)) or "Wait for its end, or see docs/operations.md."
        return Check("stack", False, "; ".join([f"{name} is {status}", *reasons]), step)
    outputs = {each["OutputKey"]: each["OutputValue"] for each in description.get("Outputs", [])}
    parameters = {
        each["ParameterKey"]: each["ParameterValue"] for each in description.get("Parameters", [])
    }
    functions = [each for each in stack.resources() if each.type == "AWS::Lambda::Function"]
    found.append(Deployed(Target(session, outputs), name, parameters, len(functions)))
    step = ""
    if status == "UPDATE_ROLLBACK_COMPLETE":
        step = "The last deployment failed and the former stack works: imagedrop deploy again."
    return Check("stack", True, f"{name} is {status}", step)


def check_permissions(target: Target) -> Check:
    """Tries reads that change nothing, one for each service that the commands use."""
    refused = []
    for permission, read in reads(target).items():
        try:
            read()
        except ClientError as error:
            refused.append(f"{permission} ({error_code(error)})")
    if refused:
        return Check("permissions", False, f"refused: {', '.join(refused)}", GRANT)
    return Check(
        "permissions", True, "this user or role may read everything that the commands read"
    )


def reads(target: Target) -> dict[str, Callable[[], Any]]:
    """Returns harmless calls by the permission that each needs."""
    s3, outputs = target.client("s3"), target.outputs
    image = {"image": {"S": "doctor"}}  # no image has this address
    return {
        "s3:ListBucket on the images": lambda: s3.list_objects_v2(
            Bucket=outputs["ImagesBucketName"], MaxKeys=1
        ),
        "s3:ListBucketVersions on the images": lambda: s3.list_object_versions(
            Bucket=outputs["ImagesBucketName"], MaxKeys=1
        ),
        "s3:ListBucket on the models": lambda: s3.list_objects_v2(
            Bucket=outputs["ModelsBucketName"], MaxKeys=1
        ),
        "s3:ListBucket on the work files": lambda: s3.list_objects_v2(
            Bucket=outputs["WorkBucketName"], MaxKeys=1
        ),
        "dynamodb:GetItem": lambda: target.client("dynamodb").get_item(
            TableName=outputs["PredictionsTableName"], Key=image
        ),
        "sqs:GetQueueAttributes": lambda: target.client("sqs").get_queue_attributes(
            QueueUrl=outputs["ImagesQueueUrl"], AttributeNames=["QueueArn"]
        ),
        "sagemaker:ListModelPackageGroups": lambda: target.client(
            "sagemaker"
        ).list_model_package_groups(MaxResults=1),
        "states:ListExecutions": lambda: target.client("stepfunctions").list_executions(
            stateMachineArn=outputs["BulkStateMachineArn"], maxResults=1
        ),
    }


def _check_quotas(account: Account, deployed: Deployed) -> Iterator[Check]:
    try:
        limits = load_template().mappings["Limits"]
        quotas = ask_quotas(account.clients, deployed.parameters, deployed.functions, limits)
    except KeyError as error:
        problem = f"the stack has no parameter {error}: an older template is deployed"
        yield Check("quotas", False, problem, "Deploy today's template: imagedrop deploy")
        return
    for quota in quotas:
        yield Check("quota", not quota.is_too_small, quota.line(), _quota_step(quota))


def _quota_step(quota: Quota) -> str:
    if quota.is_too_small:
        what = "" if quota.is_for_all else "Dropped images do not need it. "
        return f"{what}Ask for more in the console of Service Quotas; it takes hours to days."
    return "" if quota.allowed is not None else quota.unknown_step


def check_endpoint(target: Target) -> Check:
    """The endpoint is in service and its model answers one grey image as its card says."""
    name, sagemaker = target.outputs["EndpointName"], target.client("sagemaker")
    log = f"See the log group /aws/sagemaker/Endpoints/{name}."
    found = sagemaker.describe_endpoint(EndpointName=name)
    if found["EndpointStatus"] != "InService":
        reason = found.get("FailureReason", "SageMaker gives no reason")
        return Check("endpoint", False, f"{name} is {found['EndpointStatus']}: {reason}", log)
    try:
        served = served_model(sagemaker, target.client("s3"), name)
        probe(ModelEndpoint(target.client("sagemaker-runtime"), name), served.card)
    except (ProbeError, ArchiveError) as error:
        return Check("endpoint", False, f"{name} is InService, but {error}", log)
    return Check("endpoint", True, f"InService, and {served.card.identity} answers")


def check_api(deployed: Deployed, http: httpx.Client) -> Check:
    """One signed GET /labels; with tokens one without a token, which must be refused."""
    url = f"{deployed.target.outputs['ApiUrl']}/labels"
    log = f"See the log groups /aws/vendedlogs/{deployed.name}/api and /{deployed.name}/api."
    by_token = bool(deployed.parameters.get("JwtIssuerAndAudience"))
    try:
        headers = {} if by_token else _signature(deployed.target.session, url)
        status = http.get(url, headers=headers, timeout=API_TIMEOUT_SECONDS).status_code
    except httpx.HTTPError as error:
        return Check("api", False, f"{url}: {error}", UNREACHABLE)
    if by_token:
        ok = status == httpx.codes.UNAUTHORIZED
        return Check("api", ok, f"{status} for a request without a token", "" if ok else log)
    if status == httpx.codes.FORBIDDEN:
        return Check("api", False, "403 for a signed request", f"Grant execute-api:Invoke. {log}")
    ok = status == httpx.codes.OK
    return Check("api", ok, f"{status} for GET /labels", "" if ok else log)


def _signature(session: boto3.Session, url: str) -> dict[str, str]:
    """Returns the headers of a signed GET."""
    credentials = session.get_credentials()
    if credentials is None:
        raise UserError("There are no credentials to sign with.", "Sign in: aws sso login")
    request = AWSRequest("GET", url)
    SigV4Auth(credentials, "execute-api", session.region_name).add_auth(request)
    return dict(request.headers)


def check_alarms(deployed: Deployed) -> Check:
    """No alarm of the stack is on."""
    pages = (
        deployed.target.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=f"{deployed.name}-", StateValue="ALARM")
    )
    ringing = [each["AlarmName"] for page in pages for each in page["MetricAlarms"]]
    if ringing:
        step = 'docs/operations.md, "When an alarm goes off", says what to do first.'
        return Check("alarms", False, f"in ALARM: {', '.join(ringing)}", step)
    return Check("alarms", True, "none is in ALARM")
