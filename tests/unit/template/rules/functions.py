"""Functions and the event source mapping: time, sizes, concurrency, settings."""

from __future__ import annotations

import ast

from archive.reading import check_archive
from handlers import publish_model
from imagedrop.estimates.stack import WEBP_IMAGE_BYTES
from imaging import encode_npy
from tests.unit.template.rules.registry import Faults, mapping, rule, value
from tools.paths import PROJECT
from tools.template import Json, of_type, properties, with_conditions

# Lambda's rule for a queue's visibility timeout, in timeouts of the function.
VISIBILITY_TIMEOUTS = 6
SERVERLESS_PAYLOAD_BYTES = 4 * 1024 * 1024
INSTANCE_PAYLOAD_BYTES = 6_291_456
MOST_PARAMETERS = 13


@rule
def visibility_outlasts_the_function(template: Json) -> Faults:
    visible_seconds = value(template, "ImagesQueue.VisibilityTimeout", 30)
    timeout_seconds = value(template, "ClassifyFunction.Timeout")
    if visible_seconds < VISIBILITY_TIMEOUTS * timeout_seconds:
        yield f"{visible_seconds} s for a function of {timeout_seconds} s"


@rule
def one_failed_image_does_not_repeat_its_batch(template: Json) -> Faults:
    if mapping(template).get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        yield "no partial batch response"


@rule
def a_batch_fits_one_endpoint_call(template: Json) -> Faults:
    spec = check_archive(publish_model.ARCHIVE_PATH).card.image_spec
    batch_size = mapping(template)["BatchSize"]
    body = encode_npy([bytes(spec.image_bytes)] * batch_size, spec)
    if len(body) > INSTANCE_PAYLOAD_BYTES:
        yield f"{batch_size} images are {len(body)} bytes for an instance"
    if batch_size * WEBP_IMAGE_BYTES > SERVERLESS_PAYLOAD_BYTES:
        yield f"{batch_size} images of usual size do not fit a serverless endpoint's request"


@rule
def pixels_are_compressed_where_their_bytes_are_paid_for(template: Json) -> Faults:
    told = value(template, "ClassifyFunction.Environment.Variables.PIXELS_ENCODING")
    for condition, encoding in (("Serverless", "webp"), ("OnInstances", "npy")):
        if with_conditions(told, {condition}) != encoding:
            yield f"{condition}: {told}"


@rule
def the_function_knows_the_payload_limit(template: Json) -> Faults:
    for condition, limit in (
        ("Serverless", SERVERLESS_PAYLOAD_BYTES),
        ("OnInstances", INSTANCE_PAYLOAD_BYTES),
    ):
        told = value(template, "ClassifyFunction.Environment.Variables.MAX_PAYLOAD_BYTES")
        if with_conditions(told, {condition}) != str(limit):
            yield f"{condition}: {told}"


@rule
def an_image_that_comes_alone_is_taken_at_once(template: Json) -> Faults:
    if mapping(template)["BatchSize"] > 10:
        yield "Lambda requires a batching window for more than 10 messages"
    if mapping(template).get("MaximumBatchingWindowInSeconds"):
        yield "with a window a single message may wait up to 20 s"


@rule
def concurrency_is_limited_as_the_endpoint_is(template: Json) -> Faults:
    limit = mapping(template).get("ScalingConfig", {}).get("MaximumConcurrency")
    config = with_conditions(properties(template, "EndpointConfig"), {"Serverless"})
    if limit is None:
        yield "ClassifyFunction has no limit"
    if config["ProductionVariants"][0]["ServerlessConfig"]["MaxConcurrency"] != limit:
        yield "the endpoint takes another number of calls than the function makes"
    parameter = template["Parameters"]["ClassifyConcurrency"]
    if not 2 <= parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"] <= 200:
        yield "ClassifyConcurrency leaves the limits of Lambda (2) or of the endpoint (200)"


@rule
def executions_are_reserved_only_when_asked(template: Json) -> Faults:
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if "ReservedConcurrentExecutions" in with_conditions(function, ()):
            yield f"{name}: a new account has nothing to reserve"
        if "ReservedConcurrentExecutions" not in with_conditions(function, {"Reserves"}):
            yield f"{name}: reserves nothing"
    if template["Conditions"].get("Reserves") != {
        "Fn::Equals": [{"Fn::FindInMap": ["Limits", "Functions", "Reserve"]}, "yes"]
    }:
        yield "Reserves"
    if template["Mappings"]["Limits"]["Functions"]["Reserve"] != "no":
        yield "a new account cannot deploy"
    classify = with_conditions(properties(template, "ClassifyFunction"), {"Reserves"})
    limit = mapping(template).get("ScalingConfig", {}).get("MaximumConcurrency")
    if classify.get("ReservedConcurrentExecutions") != limit:
        yield "ClassifyFunction is throttled below what its queue may call"


@rule
def functions_can_run_in_a_vpc(template: Json) -> Faults:
    wanted = {
        "SubnetIds": {"Ref": "SubnetIds"},
        "SecurityGroupIds": {"Ref": "SecurityGroupIds"},
    }
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if with_conditions(function, {"InVpc"}).get("VpcConfig") != wanted:
            yield name
        if "VpcConfig" in with_conditions(function, ()):
            yield f"{name}: in a VPC although no parameter names one"


@rule
def every_step_is_traced(template: Json) -> Faults:
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if function.get("TracingConfig") != {"Mode": "Active"}:
            yield name
    for name, machine in of_type(template, "AWS::StepFunctions::StateMachine").items():
        if machine.get("TracingConfiguration") != {"Enabled": True}:
            yield name


@rule
def handlers_exist(template: Json) -> Faults:
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        module, _, attribute = function["Handler"].rpartition(".")
        path = PROJECT / "functions" / (module.replace(".", "/") + ".py")
        body = ast.parse(path.read_text()).body if path.exists() else []
        if not any(isinstance(each, ast.FunctionDef) and each.name == attribute for each in body):
            yield f"{name}: {function['Handler']}"


@rule
def the_default_python_is_one_that_people_have(template: Json) -> Faults:
    """Debian 13, Fedora 42 and older SAM CLIs have Python 3.13; `sam build` needs that Python."""
    parameter = template["Parameters"]["PythonRuntime"]
    if parameter["AllowedValues"] != [f"python3.{minor}" for minor in (11, 12, 13, 14)]:
        yield str(parameter["AllowedValues"])
    if parameter["Default"] != "python3.13":
        yield str(parameter["Default"])
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if name != "PublishImageFunction" and function["Runtime"] != {"Ref": "PythonRuntime"}:
            yield name


@rule
def a_guided_deployment_asks_at_most_twelve_questions(template: Json) -> Faults:
    if len(template["Parameters"]) > MOST_PARAMETERS:
        yield f"{len(template['Parameters'])} parameters"
    for name, parameter in template["Parameters"].items():
        if "Default" not in parameter:
            yield f"{name}: no default"
