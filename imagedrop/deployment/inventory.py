"""The resources and data of a stack and its former tries: deleted with the stack, or kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from imagedrop.deployment.account import Account
from imagedrop.deployment.stacks import Resource, Stack
from imagedrop.estimates import prices
from pipeline.adapters.service_errors import error_code
from registry.model_registry import ModelRegistry

GIGABYTE = 1024**3
# Description of DataKey in template.yaml.
KEY_DESCRIPTION = "Images, models, predictions and logs of the stack {stack}"
PROMOTED_PREFIX = "imagedrop-promoted-"
_DYING_KEYS = frozenset({"PendingDeletion", "PendingReplicaDeletion"})


class Kind(StrEnum):
    """A kind of thing that CloudFormation does not delete with the stack."""

    MODEL_GROUP = "model package group"
    BUCKET = "bucket"
    TABLE = "table"
    KEY = "KMS key"


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that holds data and stays when the stack is deleted.

    Attributes:
        cost: its monthly cost, in words.
        command: the command that removes it.
    """

    kind: Kind
    name: str
    cost: str
    command: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything that belongs to a stack's name in one account and region.

    Attributes:
        status: of the stack; None when there is none.
        resources: of the stack.
        shadow_endpoints: names of endpoints of candidates (`imagedrop shadow`).
        promoted_configs: names of the endpoint configurations that promotions made.
        promoted_models: names of the SageMaker models that promotions made.
        kept: what stays, in the order in which it can be removed.
    """

    status: str | None
    resources: list[Resource]
    shadow_endpoints: list[str]
    promoted_configs: list[str]
    promoted_models: list[str]
    kept: list[Kept]


def take_inventory(account: Account, stack_name: str) -> Inventory:
    """Looks at everything that belongs to the stack; changes nothing.

    Raises:
        ClientError: something may not be read.
    """
    clients = account.clients
    stack = Stack(clients("cloudformation"), stack_name)
    status = stack.status()
    resources = stack.resources() if status else []
    buckets = _buckets(clients("s3"), stack_name, account.region, resources)
    sagemaker = clients("sagemaker")
    models = list(_promoted_models(sagemaker, stack_name, resources))
    kept = [
        *_model_groups(sagemaker, buckets),
        *(_bucket(name, stack_name) for name in buckets),
        *_tables(clients("dynamodb"), stack_name, resources),
        *_keys(clients("kms"), stack_name),
    ]
    configs = list(_configs_of(sagemaker, set(models)))
    shadows = list(_shadow_endpoints(sagemaker, stack_name))
    return Inventory(status, resources, shadows, configs, models, kept)


def _names(resources: list[Resource], type_: str) -> set[str]:
    return {each.name for each in resources if each.type == type_}


def _buckets(s3: Any, stack_name: str, region: str, resources: list[Resource]) -> list[str]:
    """The stack's buckets, and those that former stacks of this name have left in this region."""
    own = _names(resources, "AWS::S3::Bucket")
    pattern = re.compile(
        rf"{re.escape(stack_name)}-(?:images-[0-9a-f]{{12}}|(?:models|work)bucket-[a-z0-9]{{12,13}})"
    )
    everything = [each["Name"] for each in s3.list_buckets().get("Buckets", [])]
    left = {name for name in everything if pattern.fullmatch(name) and _region(s3, name) == region}
    return sorted((own & set(everything)) | left)


def _region(s3: Any, bucket: str) -> str:
    # us-east-1 answers None.
    return str(s3.get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1")


def _bucket(name: str, stack_name: str) -> Kept:
    cost = f"${prices.S3_GB_MONTH.dollars:g} per GB"
    command = f"aws s3 rb s3://{name} --force"
    if "-images-" in name:  # versioned: `rb --force` leaves the old versions
        command = f"imagedrop destroy --data --stack-name {stack_name}"
    return Kept(Kind.BUCKET, name, cost, command)


def _tables(dynamodb: Any, stack_name: str, resources: list[Resource]) -> Iterator[Kept]:
    own = _names(resources, "AWS::DynamoDB::Table")
    pattern = re.compile(rf"{re.escape(stack_name)}-PredictionsTable-[A-Z0-9]+")
    pages = dynamodb.get_paginator("list_tables").paginate()
    for name in (each for page in pages for each in page["TableNames"]):
        if name in own or pattern.fullmatch(name):
            size = dynamodb.describe_table(TableName=name)["Table"].get("TableSizeBytes", 0)
            each = prices.TABLE_GB_MONTH.dollars + prices.TABLE_BACKUP_GB_MONTH.dollars
            yield Kept(
                Kind.TABLE,
                name,
                f"${size / GIGABYTE * each:.2f}",
                f"aws dynamodb update-table --table-name {name} --no-deletion-protection-enabled; "
                f"aws dynamodb delete-table --table-name {name}",
            )


def _keys(kms: Any, stack_name: str) -> Iterator[Kept]:
    """The keys that stacks of this name created; never one of the user's own."""
    wanted = KEY_DESCRIPTION.format(stack=stack_name)
    for page in kms.get_paginator("list_keys").paginate():
        for each in page["Keys"]:
            try:
                key = kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"]
            except ClientError as error:
                # Another owner's key, whose policy excludes us; the policy of our key lets IAM
                # decide.
                if error_code(error) != "AccessDeniedException":
                    raise
                continue
            if key.get("Description") == wanted and key.get("KeyState") not in _DYING_KEYS:
                yield Kept(
                    Kind.KEY,
                    str(key["KeyId"]),
                    f"${prices.KMS_KEY_MONTH.dollars:.2f}",
                    f"aws kms schedule-key-deletion --key-id {key['KeyId']}",
                )


def _model_groups(sagemaker: Any, buckets: list[str]) -> Iterator[Kept]:
    """The groups of the registry with archives in these buckets alone."""
    addresses = tuple(f"s3://{each}/" for each in buckets)
    archives: dict[str, list[str]] = {}
    for package in ModelRegistry(sagemaker).packages():
        archives.setdefault(package.name, []).append(package.model_data_url)
    for name, urls in archives.items():
        if all(each.startswith(addresses) for each in urls):
            yield Kept(
                Kind.MODEL_GROUP,
                name,
                "free",
                f"aws sagemaker delete-model-package-group --model-package-group-name {name}, "
                "after its packages",
            )


def _promoted_models(sagemaker: Any, stack_name: str, resources: list[Resource]) -> Iterator[str]:
    """Models that promotions made with this stack's role, or with a former one's."""
    own = {each.name for each in resources if each.logical_id == "EndpointRole"}
    for page in sagemaker.get_paginator("list_models").paginate(NameContains=PROMOTED_PREFIX):
        for each in page["Models"]:
            model = sagemaker.describe_model(ModelName=each["ModelName"])
            role = str(model["ExecutionRoleArn"]).rpartition("/")[2]
            if role in own or role.startswith(f"{stack_name}-EndpointRole-"):
                yield str(each["ModelName"])


def _shadow_endpoints(sagemaker: Any, stack_name: str) -> Iterator[str]:
    """Endpoints with the name that the template gives to a candidate's."""
    pattern = re.compile(rf"{re.escape(stack_name)}-shadow-[0-9a-f]{{12}}")
    pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=f"{stack_name}-shadow-")
    for each in (each for page in pages for each in page["Endpoints"]):
        if pattern.fullmatch(each["EndpointName"]):
            yield str(each["EndpointName"])


def _configs_of(sagemaker: Any, models: set[str]) -> Iterator[str]:
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=PROMOTED_PREFIX)
    for each in (each for page in pages for each in page["EndpointConfigs"]):
        name = str(each["EndpointConfigName"])
        config = sagemaker.describe_endpoint_config(EndpointConfigName=name)
        if {variant["ModelName"] for variant in config["ProductionVariants"]} & models:
            yield name
