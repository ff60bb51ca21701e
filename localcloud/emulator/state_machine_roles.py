"""Gap: a state machine needs no permissions, even where policies are enforced.

On AWS its role needs `lambda:InvokeFunction`, `s3:GetObject` for an ItemReader, SageMaker's actions
on the job, `events:PutEvents` on the bus, and `states:StartExecution` for a Distributed Map.
https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from localcloud.emulator import patching
from localcloud.emulator.stopped_executions import current_run

_CALL_LAMBDA_LOOKS = "25830369b126"
_S3_TEXT_LOOKS = "9351030b6822"
_MAP_ITEMS_LOOKS = "b846851544b8"
_PUT_EVENTS = "arn:aws:states:::events:putEvents"


def install() -> None:
    """Check the role before each call, where the emulator enforces policies at all."""
    sfn = patching.module("services.stepfunctions")
    patching.replace(sfn, "_call_lambda", _CALL_LAMBDA_LOOKS, partial(_before_lambda, sfn))
    patching.replace(sfn, "_s3_object_text", _S3_TEXT_LOOKS, partial(_before_s3, sfn))
    patching.replace(sfn, "_read_map_items", _MAP_ITEMS_LOOKS, partial(_before_map, sfn))
    sfn._SERVICE_DISPATCH[_PUT_EVENTS] = _before_events(sfn, sfn._SERVICE_DISPATCH[_PUT_EVENTS])


def require(sfn: Any, action: str, resource: str, *, error: str) -> None:
    """Raise the execution's error unless the role of the running execution allows this.

    Args:
        sfn: MiniStack's Step Functions.
        action: such as `lambda:InvokeFunction`.
        resource: `service:REST` of an ARN in the execution's account and region, or a whole ARN.
        error: the name of the error.
    """
    execution = sfn._executions.get(current_run().execution_arn)
    if execution is None or not patching.module("app").AUTH:
        return
    iam = patching.module("core.iam_evaluator")
    account, region = sfn.get_account_id(), sfn.get_region()
    role = sfn._state_machines[execution["stateMachineArn"]]["roleArn"].rsplit("/", 1)[-1]
    principal = f"arn:aws:sts::{account}:assumed-role/{role}/{execution['name']}"
    if not resource.startswith("arn:"):
        service, _, rest = resource.partition(":")
        resource = f"arn:aws:{service}:{region}:{account}:{rest}"
    context = iam.EvalContext(principal, "AssumedRole", account, action, resource, region)
    if iam.evaluate(context, iam._gather_role_policies(role, account)).decision != "Allow":
        raise sfn._ExecutionError(
            error,
            f"User: {principal} is not authorized to perform: {action} on resource: {resource} "
            "(Status Code: 403; Error Code: AccessDeniedException)",
        )


def _before_lambda(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def call(function: str, event: Any) -> Any:
        resource = function if function.startswith("arn:") else f"lambda:function:{function}"
        require(sfn, "lambda:InvokeFunction", resource, error="Lambda.AWSLambdaException")
        return original(function, event)

    return call


def _before_s3(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def read(bucket: str, key: str) -> Any:
        resource = f"arn:aws:s3:::{bucket}/{key}"
        require(sfn, "s3:GetObject", resource, error="States.ItemReaderFailed")
        return original(bucket, key)

    return read


def _before_map(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def read(*given: Any) -> Any:
        execution = sfn._executions[current_run().execution_arn]
        machine = execution["stateMachineArn"]
        require(sfn, "states:StartExecution", machine, error="States.Permissions")
        return original(*given)

    return read


def _before_events(sfn: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def put(resource: str, request: dict[str, Any]) -> Any:
        for entry in request.get("Entries", ()):
            bus = entry.get("EventBusName", "default")
            bus = bus if bus.startswith("arn:") else f"events:event-bus/{bus}"
            require(sfn, "events:PutEvents", bus, error="EventBridge.EventBridgeException")
        return original(resource, request)

    return put
