"""Model, endpoint, promotion and training."""

from __future__ import annotations

import re

from handlers import publish_model
from tests.unit.template.rules.registry import Faults, rule, value
from tools.paths import PROJECT
from tools.template import Json, of_type, properties, references, text, with_conditions
from training.launch import images

LONGEST_STACK_NAME = "s" * 35  # as the template's description says
MEMORY_SIZES = ["1024", "2048", "3072", "4096", "5120", "6144"]  # of a serverless endpoint, MB
NEW_ACCOUNT_ENDPOINT_MEGABYTES = 3072  # as accounts report it; Service Quotas does not list it
MACHINE = {"Fn::Split": [".", {"Fn::Sub": "${EndpointCapacity}.."}]}
# "serverless", or "m5-xlarge" for ml.m5.xlarge.
ENDPOINT_KIND = {
    "Fn::If": [
        "Serverless",
        "serverless",
        {"Fn::Join": ["-", [{"Fn::Select": [1, MACHINE]}, {"Fn::Select": [2, MACHINE]}]]},
    ]
}


@rule
def the_default_model_is_in_the_bundle(_template: Json) -> Faults:
    if not publish_model.ARCHIVE_PATH.is_relative_to(PROJECT / "functions"):
        yield "the archive is not in the CodeUri"
    if not publish_model.ARCHIVE_PATH.exists():
        yield f"no {publish_model.ARCHIVE_PATH}"


@rule
def a_new_bundle_publishes_its_model(template: Json) -> Faults:
    versions = set(of_type(template, "AWS::Lambda::Version"))
    if not versions & set(references(value(template, "PublishedModel.CodeVersion"))):
        yield "PublishedModel does not change with the bundle"
    if text(value(template, "Model.PrimaryContainer.ModelDataUrl")) != (
        "${PublishedModel.ModelDataUrl}"
    ):
        yield "Model is not the published one"


@rule
def no_parameter_takes_a_promoted_model_back(template: Json) -> Faults:
    """Every change that replaces the endpoint's configuration asks which model is promoted."""
    asked_for = set(references(properties(template, "PublishedModel")))
    for name in ("Model", "EndpointConfig"):
        for parameter in references(properties(template, name)):
            if parameter in template["Parameters"] and parameter not in asked_for:
                yield f"{name}: another {parameter} brings the model of the last deployment back"


@rule
def only_this_stacks_completed_trainings_are_proposed(template: Json) -> Faults:
    event_rules = of_type(template, "AWS::Events::Rule").values()
    (event_rule,) = [each for each in event_rules if "ScheduleExpression" not in each]
    prefix = {"prefix": {"Fn::Sub": "s3://${ModelsBucket}/training/jobs"}}
    if event_rule.get("EventPattern") != {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {
            "TrainingJobStatus": ["Completed"],
            "OutputDataConfig": {"S3OutputPath": [prefix]},
        },
    }:
        yield str(event_rule.get("EventPattern"))


@rule
def a_silent_custom_resource_fails_soon(template: Json) -> Faults:
    for resource, function, longest_seconds in (
        ("PublishedModel", "PublishModelFunction", 300),
        ("ServingImage", "PublishImageFunction", 900),
    ):
        timeout_seconds = value(template, f"{resource}.ServiceTimeout", 3600)
        if not value(template, f"{function}.Timeout") < timeout_seconds <= longest_seconds:
            yield f"{resource}: {timeout_seconds} s"


@rule
def the_endpoint_is_serverless_or_instances(template: Json) -> Faults:
    for condition, has in (
        ("Serverless", {"ServerlessConfig"}),
        ("OnInstances", {"InstanceType", "InitialInstanceCount"}),
    ):
        config = with_conditions(properties(template, "EndpointConfig"), {condition})
        (variant,) = config["ProductionVariants"]
        if set(variant) - {"VariantName", "ModelName", "InitialVariantWeight"} != has:
            yield f"{condition}: {sorted(variant)}"
    serverless = [{"Fn::Equals": [{"Ref": "EndpointCapacity"}, each]} for each in MEMORY_SIZES]
    if template["Conditions"]["Serverless"] != {"Fn::Or": serverless}:
        yield "Serverless"
    if template["Conditions"]["OnInstances"] != {"Fn::Not": [{"Condition": "Serverless"}]}:
        yield "OnInstances"
    allowed = template["Parameters"]["EndpointCapacity"].get("AllowedPattern", ".*")
    numbers = [str(each) for each in range(10_000) if re.fullmatch(allowed, str(each))]
    if numbers != MEMORY_SIZES:
        yield f"other memory sizes than SageMaker's: {numbers[:9]}"


@rule
def a_new_account_allows_the_default_endpoint(template: Json) -> Faults:
    megabytes = str(template["Parameters"]["EndpointCapacity"]["Default"])
    if not megabytes.isdigit() or int(megabytes) > NEW_ACCOUNT_ENDPOINT_MEGABYTES:
        yield megabytes


@rule
def another_capacity_is_another_endpoint(template: Json) -> Faults:
    # UpdateEndpoint refuses to turn an endpoint on instances into a serverless one, and another
    # instance type of a variant that is scaled.
    match value(template, "Endpoint.EndpointName.Fn::Sub"):
        case [str(name), {"Kind": kind}] if "${Kind}" in name and kind == ENDPOINT_KIND:
            pass
        case other:
            yield f"the endpoint's name does not contain the instance type: {other}"


@rule
def names_fit_the_longest_stack_name(template: Json) -> Faults:
    for path in (
        "ImagesBucket.BucketName",
        "Endpoint.EndpointName",
        "ServingRepository.RepositoryName",
    ):
        full = (
            value(template, path)["Fn::Sub"][0]
            .replace("${AWS::StackName}", LONGEST_STACK_NAME)
            .replace("${Kind}", "trn1n-32xlarge")  # the longest instance type
            .replace("${StackSuffix}", "0" * 12)
        )
        if len(full) > 63 or "$" in full:
            yield f"{path}: {full}"
    if f"at most {len(LONGEST_STACK_NAME)} characters" not in template["Description"]:
        yield "the description names another length"


@rule
def only_instances_are_scaled(template: Json) -> Faults:
    for name, resource in template["Resources"].items():
        scaled = resource["Type"].startswith("AWS::ApplicationAutoScaling::")
        if scaled and resource.get("Condition") != "OnInstances":
            yield name
    if not of_type(template, "AWS::ApplicationAutoScaling::ScalingPolicy"):
        yield "no scaling policy"


@rule
def a_model_in_the_stacks_image_is_isolated(template: Json) -> Faults:
    # Serverless endpoints cannot be, and AWS's Ray container fetches packages as it starts.
    model = properties(template, "Model")
    if with_conditions(model, {"ModelIsolated"}).get("EnableNetworkIsolation") is not True:
        yield "never isolated"
    if "EnableNetworkIsolation" in with_conditions(model, ()):
        yield "isolated where it cannot be"
    if with_conditions(model, {"ModelInVpc"}).get("VpcConfig") != {
        "Subnets": {"Ref": "SubnetIds"},
        "SecurityGroupIds": {"Ref": "SecurityGroupIds"},
    }:
        yield "not in the VPC"
    for condition, other in (
        ("ModelInVpc", {"Condition": "InVpc"}),
        ("ModelIsolated", {"Condition": "MakesImage"}),
    ):
        if template["Conditions"].get(condition) != {
            "Fn::And": [{"Condition": "OnInstances"}, other]
        }:
            yield condition


@rule
def nothing_is_reported_to_the_runtimes_maker(template: Json) -> Faults:
    told = value(template, "Model.PrimaryContainer.Environment", {})
    if told.get("ORT_DISABLE_TELEMETRY") != "1":
        yield "ONNX Runtime reports to its maker"


@rule
def containers_of_aws_are_pulled_from_the_regions_account(template: Json) -> Faults:
    accounts = {
        region: each["Account"]
        for region, each in template["Mappings"]["ContainerRegistry"].items()
    }
    for region, account in accounts.items() ^ images.ACCOUNTS.items():
        yield f"{region}: {account}"
