"""The cloud that a command uses: the local one, or the AWS account of the credential chain.

Only endpoints, credentials and names differ; the code is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.errors import UserError
from imagedrop.samconfig import SavedDeployment, read_deployment
from imagedrop.target_name import TargetName
from localcloud import aws, environments
from localcloud.record import Cloud, read
from pipeline.adapters.predictions_table import PredictionsTable
from registry.model_registry import ModelRegistry
from registry.models_bucket import ModelsBucket
from registry.served_model import ServedModel, served_model

# The folder of the images bucket where a new object is classified; the template says the same.
INCOMING_PREFIX = "incoming/"
PARALLEL_CALLS = 16
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=PARALLEL_CALLS
)


@dataclass(frozen=True, slots=True)
class Target:
    """A deployed stack: its outputs, and a session whose clients reach it."""

    session: boto3.Session
    outputs: dict[str, str]
    endpoint_url: str | None = None
    config: Config = CLIENT_CONFIG
    sagemaker_url: str | None = None

    def client(self, service: str) -> Any:
        """Returns a boto3 client that reaches this stack."""
        is_sagemaker = service.startswith("sagemaker")
        return self.session.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.sagemaker_url if is_sagemaker else self.endpoint_url,
            config=self.config,
        )

    def output(self, name: str, of_what: str) -> str:
        """Returns an output that stacks of older templates lack.

        Raises:
            UserError: this one lacks it.
        """
        if name not in self.outputs:
            raise UserError(
                f"This stack has no {of_what}.",
                "Deploy the current template: imagedrop up, or imagedrop deploy",
            )
        return self.outputs[name]

    def served_model(self) -> ServedModel:
        """Returns the model that answers now."""
        name = self.outputs["EndpointName"]
        return served_model(self.client("sagemaker"), self.client("s3"), name)

    @property
    def images_bucket(self) -> str:
        return self.outputs["ImagesBucketName"]

    def models_bucket(self) -> ModelsBucket:
        """Returns the stack's bucket of model archives."""
        return ModelsBucket(self.client("s3"), self.outputs["ModelsBucketName"])

    def model_registry(self) -> ModelRegistry:
        """Returns SageMaker's registry of models."""
        return ModelRegistry(self.client("sagemaker"))

    def predictions_table(self) -> PredictionsTable:
        """Returns the stack's table of predictions."""
        return PredictionsTable(self.client("dynamodb"), self.outputs["PredictionsTableName"])


def find_target(name: TargetName) -> Target:
    """Finds the deployed stack of a target.

    Raises:
        UserError: nothing is deployed there, or it cannot be reached.
    """
    return _local() if name is TargetName.LOCAL else _aws()


def _local() -> Target:
    found = read(environments.default_home())
    if found is None or not found.is_running:
        raise UserError("The local cloud is not running.", "Start it with: imagedrop up")
    if not found.outputs:
        raise UserError(
            "The local cloud runs, but nothing is deployed in it.",
            "Deploy with: imagedrop down && imagedrop up",
        )
    return local_target(found)


def local_target(running: Cloud) -> Target:
    """Returns the stack that is deployed in a running local cloud."""
    # This never reaches AWS, whatever the environment says, and never uses a proxy.
    config = CLIENT_CONFIG.merge(Config(proxies={}))
    return Target(
        aws.session(), running.outputs, running.endpoint_url, config, running.sagemaker_url
    )


def find_region(name: TargetName) -> str | None:
    """Returns the region of a target, deployed or not; None when no setting names one."""
    session = aws.session() if name is TargetName.LOCAL else aws_session(read_deployment())
    return session.region_name


def aws_session(saved: SavedDeployment) -> boto3.Session:
    """Returns a session of the profile and the region that were saved.

    Raises:
        UserError: this machine has no such profile.
    """
    try:
        return boto3.Session(profile_name=saved.profile, region_name=saved.region)
    except BotoCoreError as error:
        raise UserError(
            f"The AWS profile in samconfig.toml cannot be used: {error}",
            "List the profiles with: aws configure list-profiles. Another: imagedrop deploy "
            "--profile NAME",
        ) from error


def _aws() -> Target:
    saved = read_deployment()
    session = aws_session(saved)
    try:
        stacks = session.client("cloudformation").describe_stacks(StackName=saved.stack_name)
    except (ClientError, BotoCoreError) as error:
        raise UserError(
            f"The stack {saved.stack_name} cannot be read: {error}",
            "Check your AWS credentials, and deploy with: imagedrop deploy",
        ) from error
    outputs = stacks["Stacks"][0].get("Outputs", [])
    return Target(session, {each["OutputKey"]: each["OutputValue"] for each in outputs})
