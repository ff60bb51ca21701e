"""AWS's prices in dollars: us-east-1, on demand, without free tiers.

All prices are here. No program read them from AWS's price pages: check them before quoting, and
put the day of the check in ``noted_on``.
"""

from __future__ import annotations

from dataclasses import dataclass

NOTED_ON = "2026-11-25"


@dataclass(frozen=True, slots=True)
class Price:
    """``dollars`` for one ``unit``; "million" units are for 1,000,000 of a thing."""

    dollars: float
    unit: str
    noted_on: str = NOTED_ON


LAMBDA_GB_SECOND = Price(0.0000133334, "Lambda, GB-second, arm64")
LAMBDA_MILLION_REQUESTS = Price(0.20, "Lambda, million requests")

TABLE_MILLION_WRITES = Price(
    0.625, "DynamoDB, million writes of up to 1 kB; once more for each index"
)
TABLE_MILLION_READS = Price(0.125, "DynamoDB, million reads of up to 4 kB")

S3_MILLION_PUTS = Price(5.00, "S3, million PUT or LIST requests")
S3_MILLION_GETS = Price(0.40, "S3, million GET requests")
S3_GB_MONTH = Price(0.023, "S3, GB-month, standard storage")

STEP_FUNCTIONS_MILLION_TRANSITIONS = Price(25.00, "Step Functions, million transitions, standard")

SQS_MILLION_REQUESTS = Price(0.40, "SQS, million requests")
LOGS_GB = Price(0.50, "CloudWatch Logs, GB taken in")

SERVERLESS_ENDPOINT_GB_SECOND = Price(0.00002, "serverless endpoint, GB-second")
ENDPOINT_DATA_GB = Price(0.016, "endpoint, GB in and out")

KMS_KEY_MONTH = Price(1.00, "KMS, month of a key, and again for each of its first two rotations")
ALARM_MONTH = Price(0.10, "CloudWatch, month of an alarm")
ECR_GB_MONTH = Price(0.10, "ECR, GB-month")
TABLE_GB_MONTH = Price(0.25, "DynamoDB, GB-month")
TABLE_BACKUP_GB_MONTH = Price(0.20, "DynamoDB, GB-month of point-in-time recovery")

ENDPOINT_INSTANCE_HOURS = {
    name: Price(dollars, f"real-time endpoint, hour of {name}")
    for name, dollars in {"ml.m5.large": 0.115, "ml.m5.xlarge": 0.23, "ml.c5.xlarge": 0.204}.items()
}

TRANSFORM_INSTANCE_HOURS = {
    name: Price(dollars, f"Batch Transform, hour of {name}")
    for name, dollars in {
        "ml.m5.xlarge": 0.23,
        "ml.c5.xlarge": 0.204,
        "ml.g5.xlarge": 1.41,
    }.items()
}

TRAINING_INSTANCE_HOURS = {
    name: Price(dollars, f"training job, hour of {name}")
    for name, dollars in {
        "ml.m5.xlarge": 0.23,
        "ml.m5.2xlarge": 0.461,
        "ml.c5.xlarge": 0.204,
        "ml.c5.2xlarge": 0.408,
        "ml.g4dn.xlarge": 0.736,
        "ml.g5.xlarge": 1.41,
        "ml.g5.2xlarge": 1.515,
    }.items()
}

# The prices for images, listed in docs/bulk.md; trainings are estimated job by job.
ALL = (
    LAMBDA_GB_SECOND,
    LAMBDA_MILLION_REQUESTS,
    TABLE_MILLION_WRITES,
    TABLE_MILLION_READS,
    S3_MILLION_PUTS,
    S3_MILLION_GETS,
    S3_GB_MONTH,
    STEP_FUNCTIONS_MILLION_TRANSITIONS,
    SQS_MILLION_REQUESTS,
    LOGS_GB,
    SERVERLESS_ENDPOINT_GB_SECOND,
    ENDPOINT_DATA_GB,
    *TRANSFORM_INSTANCE_HOURS.values(),
)
