"""Model, endpoint, promotion and training."""

from __future__ import annotations

from handlers import publish_model
from tests.unit.template.rules.registry import Faults, rule, value
from tools.paths import PROJECT
from tools.template import Json, of_type, properties, references, text, with_conditions

LONGEST_STACK_NAME = "s" * 39  # as the template's description says


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
    (event_rule,) = of_type(template, "AWS::Events::Rule").values()
    prefix = {"prefix": {"Fn::Sub": "s3://${ModelsBucket}/training/jobs"}}
    if event_rule["EventPattern"] != {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {
            "TrainingJobStatus": ["Completed"],
            "OutputDataConfig": {"S3OutputPath": [prefix]},
        },
    }:
        yield str(event_rule["EventPattern"])


@rule
def a_silent_custom_resource_fails_soon(template: Json) -> Faults:
    timeout_seconds = value(template, "PublishedModel.ServiceTimeout", 3600)
    if not value(template, "PublishModelFunction.Timeout") < timeout_seconds <= 300:
        yield f"{timeout_seconds} s"


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
    if template["Parameters"]["EndpointMode"]["Default"] != "serverless":
        yield "serverless is not the default"


@rule
def another_mode_is_another_endpoint(template: Json) -> Faults:
    # UpdateEndpoint refuses to turn an endpoint on instances into a serverless one.
    if "${EndpointMode}" not in text(value(template, "Endpoint.EndpointName")):
        yield "the endpoint's name does not contain the mode"


@rule
def names_fit_the_longest_stack_name(template: Json) -> Faults:
    for path in ("ImagesBucket.BucketName", "Endpoint.EndpointName"):
        full = (
            value(template, path)["Fn::Sub"][0]
            .replace("${AWS::StackName}", LONGEST_STACK_NAME)
            .replace("${EndpointMode}", "serverless")
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
def a_model_of_your_own_image_is_isolated(template: Json) -> Faults:
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
    rays = {"Fn::Equals": [{"Ref": "ServingImageRepository"}, "ray"]}
    for condition, other in (
        ("ModelInVpc", {"Condition": "InVpc"}),
        ("ModelIsolated", {"Fn::Not": [rays]}),
    ):
        if template["Conditions"].get(condition) != {
            "Fn::And": [{"Condition": "OnInstances"}, other]
        }:
            yield condition
