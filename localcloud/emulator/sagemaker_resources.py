"""Gap: no SageMaker. A stack's models and endpoints are created in the SageMaker stand-in.

Names, `Ref` and attributes are those of CloudFormation:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_SageMaker.html
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable
from typing import Any

from localcloud.emulator import patching
from localcloud.emulator.sagemaker_calls import (
    CALL_TIMEOUT_SECONDS,
    SageMakerError,
    call,
    call_unless_gone,
)

_WORKER_THREAD_LOOKS = "23955511141f"
_PREFIX = "AWS::SageMaker::"
_IN_SERVICE_DEADLINE_SECONDS = 300.0
_POLL_SECONDS = 0.1
# Template parameters turn numbers and booleans into strings; SageMaker needs its own types.
_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "InitialInstanceCount": int,
    "InitialVariantWeight": float,
    "MaxConcurrency": int,
    "MemorySizeInMB": int,
    "ProvisionedConcurrency": int,
    "VolumeSizeInGB": int,
    "ModelDataDownloadTimeoutInSeconds": int,
    "ContainerStartupHealthCheckTimeoutInSeconds": int,
}
_BOOLEANS = frozenset({"EnableNetworkIsolation", "RetainAllVariantProperties"})


def install() -> None:
    """Register the three resource types; they wait, so they run on worker threads."""
    provisioners = patching.module("services.cloudformation.provisioners")
    stacks = patching.module("services.cloudformation.stacks")
    for kind in ("Model", "EndpointConfig"):
        resource_type = _PREFIX + kind
        provisioners._RESOURCE_HANDLERS[resource_type] = _immutable(kind)
        provisioners._REPLACING_PROPERTIES[resource_type] = _IMMUTABLE_PROPERTIES[kind]
    provisioners._RESOURCE_HANDLERS[_PREFIX + "Endpoint"] = {
        "create": _create_endpoint,
        "update": _update_endpoint,
        "delete": _delete_endpoint,
    }
    provisioners._REPLACING_PROPERTIES[_PREFIX + "Endpoint"] = ("EndpointName",)

    def on_worker_thread(original: Callable[[str], bool]) -> Callable[[str], bool]:
        # On the event loop the stand-in could not read the model from S3 while we wait for it.
        return lambda resource_type: resource_type.startswith(_PREFIX) or original(resource_type)

    patching.replace(stacks, "_runs_on_worker_thread", _WORKER_THREAD_LOOKS, on_worker_thread)


# All but Tags: CloudFormation replaces the resource when one of these changes.
_IMMUTABLE_PROPERTIES = {
    "Model": (
        *("Containers", "EnableNetworkIsolation", "ExecutionRoleArn", "InferenceExecutionConfig"),
        *("ModelName", "PrimaryContainer", "VpcConfig"),
    ),
    "EndpointConfig": (
        *("AsyncInferenceConfig", "DataCaptureConfig", "EnableNetworkIsolation"),
        *("EndpointConfigName", "ExecutionRoleArn", "ExplainerConfig", "KmsKeyId"),
        *("ProductionVariants", "ShadowProductionVariants", "VpcConfig"),
    ),
}


def _immutable(kind: str) -> dict[str, Any]:
    """Handlers of a model or an endpoint configuration."""
    name_property = f"{kind}Name"

    def create(logical_id: str, props: dict[str, Any], _stack_name: str) -> Any:
        name = props.get(name_property) or _generated_name(logical_id)
        answer = call(f"Create{kind}", {**_typed(props), name_property: name})
        return answer[f"{kind}Arn"], {name_property: name}

    def update(physical_id: str, _old: Any, _new: Any, _stack_name: str) -> Any:
        return physical_id, {name_property: _name_in(physical_id)}  # only Tags changed

    def delete(physical_id: str, _props: Any) -> None:
        call_unless_gone(f"Delete{kind}", {name_property: _name_in(physical_id)})

    return {"create": create, "update": update, "delete": delete}


def _create_endpoint(logical_id: str, props: dict[str, Any], _stack_name: str) -> Any:
    name = props.get("EndpointName") or _generated_name(logical_id)
    request: dict[str, Any] = {
        key: props[key] for key in ("EndpointConfigName", "Tags") if key in props
    }
    request["EndpointName"] = name
    arn = call("CreateEndpoint", request)["EndpointArn"]
    try:
        _wait_until_in_service(name)
    except SageMakerError:
        # CloudFormation deletes a resource that failed to be created.
        call_unless_gone("DeleteEndpoint", {"EndpointName": name})
        raise
    return arn, {"EndpointName": name}


def _update_endpoint(
    physical_id: str, old: dict[str, Any], new: dict[str, Any], _stack_name: str
) -> Any:
    name = _name_in(physical_id)
    if old.get("EndpointConfigName") != new.get("EndpointConfigName"):
        passed_on = ("EndpointConfigName", "RetainAllVariantProperties")
        request = {key: new[key] for key in passed_on if key in new}
        call("UpdateEndpoint", {**_typed(request), "EndpointName": name})
        _wait_until_in_service(name)
    return physical_id, {"EndpointName": name}


def _delete_endpoint(physical_id: str, _props: Any) -> None:
    name = _name_in(physical_id)
    call_unless_gone("DeleteEndpoint", {"EndpointName": name})
    deadline = time.monotonic() + CALL_TIMEOUT_SECONDS
    while _status(name) is not None:
        if time.monotonic() > deadline:
            raise SageMakerError(f"endpoint {name} is still there after its deletion")
        time.sleep(_POLL_SECONDS)


def _wait_until_in_service(name: str) -> None:
    deadline = time.monotonic() + _IN_SERVICE_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        status = _status(name) or {"EndpointStatus": "Deleted"}
        if status["EndpointStatus"] == "InService":
            return
        if status["EndpointStatus"] in ("Failed", "UpdateRollbackFailed", "Deleted"):
            reason = status.get("FailureReason", "no reason given")
            raise SageMakerError(f"endpoint {name} is {status['EndpointStatus']}: {reason}")
        time.sleep(_POLL_SECONDS)
    raise SageMakerError(
        f"endpoint {name} was not in service after {_IN_SERVICE_DEADLINE_SECONDS:.0f} seconds"
    )


def _status(name: str) -> dict[str, Any] | None:
    return call_unless_gone("DescribeEndpoint", {"EndpointName": name})


def _typed(value: Any, key: str = "") -> Any:
    """`value` with numbers and booleans in SageMaker's types."""
    if isinstance(value, dict):
        return {name: _typed(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if key in _NUMBERS:
        return _NUMBERS[key](value)
    if key in _BOOLEANS:
        return str(value).lower() == "true"
    return value


def _generated_name(logical_id: str) -> str:
    """As CloudFormation names SageMaker resources: the logical id and twelve random characters."""
    alphabet = string.ascii_letters + string.digits
    return f"{logical_id}-{''.join(secrets.choice(alphabet) for _ in range(12))}"


def _name_in(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
