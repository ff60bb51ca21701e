"""Estimates the monthly cost of the deployed stack without images, from its resources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from imagedrop.estimates import prices

SECONDS_PER_MONTH = 30 * 24 * 3600
HOURS_PER_MONTH = 730
# Lambda keeps five pollers at an idle queue, each with long polls of 20 seconds
# (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html).
QUEUE_POLLERS = 5
LONG_POLL_SECONDS = 20
# The bundle in SAM's artefact bucket and the serving image, rounded up.
BUNDLE_GIGABYTES = 0.1
SERVING_IMAGE_GIGABYTES = 0.3

FREE_WHILE_IDLE = frozenset(
    {
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::DynamoDB::Table",  # on demand; storage and backups cost by the gigabyte
        "AWS::CloudWatch::Dashboard",  # three of an account
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
        "AWS::S3::BucketPolicy",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",  # only polling costs: see `idle_month`
        "AWS::SQS::QueuePolicy",
        "AWS::SageMaker::EndpointConfig",
        "AWS::SageMaker::Model",
        "AWS::Serverless::Function",
        "AWS::Serverless::HttpApi",
        "AWS::Serverless::StateMachine",
    }
)
PAID_WHILE_IDLE = frozenset(
    {
        "AWS::CloudWatch::Alarm",
        "AWS::ECR::Repository",
        "AWS::KMS::Key",
        "AWS::SageMaker::Endpoint",  # on instances
    }
)


def idle_month(created: Mapping[str, str], values: Mapping[str, str]) -> dict[str, float | None]:
    """Returns US dollars a month by line; None for a machine of unknown price.

    Args:
        created: types of the stack's resources by logical id.
        values: the template's parameters.
    """
    count = Counter(created.values())
    polls = QUEUE_POLLERS * SECONDS_PER_MONTH / LONG_POLL_SECONDS
    alarms = count["AWS::CloudWatch::Alarm"]
    lines: dict[str, float | None] = {
        "KMS key": count["AWS::KMS::Key"] * prices.KMS_KEY_MONTH.dollars,
        f"{alarms} alarms": alarms * prices.ALARM_MONTH.dollars,
        "polling of the queue": polls / 1e6 * prices.SQS_MILLION_REQUESTS.dollars,
        "serving image in ECR": count["AWS::ECR::Repository"]
        * SERVING_IMAGE_GIGABYTES
        * prices.ECR_GB_MONTH.dollars,
        "functions' code in S3": BUNDLE_GIGABYTES * prices.S3_GB_MONTH.dollars,
        **_endpoint(values),
    }
    return {line: dollars for line, dollars in lines.items() if dollars != 0}


def _endpoint(values: Mapping[str, str]) -> dict[str, float | None]:
    machine = values["EndpointCapacity"]
    if not machine.startswith("ml."):
        return {}
    hourly = prices.ENDPOINT_INSTANCE_HOURS.get(machine)
    dollars = None if hourly is None else hourly.dollars * HOURS_PER_MONTH
    return {f"endpoint, one {machine}": dollars}
