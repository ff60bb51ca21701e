"""Differences between regions."""

from __future__ import annotations

from training.launch.images import ACCOUNTS, RULE_ACCOUNTS

PRICES_REGION = "us-east-1"
# Every account has these; the others must be enabled first
# (https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html).
ENABLED_BY_DEFAULT = frozenset(
    {
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1"),
        *("ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2"),
        *("eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    }
)


def peculiarities(region: str) -> list[str]:
    """Returns sentences about a region, for the plan; empty when there is nothing to say."""
    found = []
    if region not in ENABLED_BY_DEFAULT:
        found.append(f"{region} is an opt-in region: enable it for the account first.")
    if region not in ACCOUNTS:
        found.append(
            "AWS's training container is not known to be there: `imagedrop jobs` needs --image."
        )
    if region not in RULE_ACCOUNTS:
        found.append("SageMaker Debugger is not known to be there: `--debugger` will not work.")
    if region != PRICES_REGION:
        found.append(f"The prices above are {PRICES_REGION}'s; those of {region} differ.")
    return found
