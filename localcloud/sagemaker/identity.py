"""Who owns the resources: region and account, and the ARNs made from them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """The one region and account that the stand-in lives in."""

    region: str = "us-east-1"
    account: str = "000000000000"

    def arn(self, kind: str, name: str) -> str:
        """ARN of a SageMaker resource. SageMaker writes the name in lower case there."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name.lower()}"

    def log_group_arn(self, log_group: str) -> str:
        """ARN of a CloudWatch log group, as ModelError carries it."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{log_group}"
