"""Account-level quotas: an established account's, or a new one's, in SageMaker's own words.

Sources of a new account's quotas and of the words: public records of real accounts. 3,072 MB: at
least eight, among them "… is 3072 MBs, with current utilization of 0 MBs and a request delta of
4096 MBs", from CreateEndpoint. Ten calls at once: Service Quotas L-96300102 in an account that
publishes its Terraform code. No instances: "'ml.m5.large for transform job usage' is 0 Instances".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.state import Record

MEMORY = "Memory size in MB per serverless endpoint"
CONCURRENCY = (
    "Maximum total concurrency that can be allocated across all serverless endpoints"  # L-96300102
)

_UNIT = "Units"  # the word that SageMaker writes here is in no record that was found


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas of an account.

    Attributes:
        serverless_memory_mb: of one serverless endpoint.
        serverless_concurrency: of all serverless endpoints together.
        instances: of one type for one usage (endpoints, training jobs or transform jobs).
    """

    serverless_memory_mb: int
    serverless_concurrency: int
    instances: int

    def check_endpoint(self, variant: Record, others: Iterable[Record]) -> None:
        """Refuses an endpoint that is over a quota.

        Whether AWS counts the old and the new variant of an update together is not known; here the
        new one replaces the old one.

        Args:
            variant: the production variant of the endpoint.
            others: the variants of all other endpoints.

        Raises:
            ServiceError: ResourceLimitExceeded.
        """
        if "ServerlessConfig" not in variant:
            kind = variant["InstanceType"]
            self.check_instances(
                kind,
                "endpoint usage",
                variant["InitialInstanceCount"],
                sum(
                    other["InitialInstanceCount"]
                    for other in others
                    if other.get("InstanceType") == kind
                ),
            )
            return
        wanted = variant["ServerlessConfig"]
        _check(MEMORY, self.serverless_memory_mb, "MBs", 0, wanted["MemorySizeInMB"])
        in_use = sum(
            other["ServerlessConfig"]["MaxConcurrency"]
            for other in others
            if "ServerlessConfig" in other
        )
        _check(CONCURRENCY, self.serverless_concurrency, _UNIT, in_use, wanted["MaxConcurrency"])

    def check_instances(self, kind: str, usage: str, wanted: int, in_use: int) -> None:
        """Refuses instances that are over a quota.

        Args:
            kind: the instance type.
            usage: as in the quota's name, `transform job usage`.

        Raises:
            ServiceError: ResourceLimitExceeded.
        """
        _check(f"{kind} for {usage}", self.instances, "Instances", in_use, wanted)


# 6,144 MB is the largest size there is. 1,000 calls and 20 instances: "Amazon SageMaker endpoints
# and quotas" in the AWS General Reference; many accounts have others.
ESTABLISHED = Quotas(serverless_memory_mb=6144, serverless_concurrency=1000, instances=20)
NEW_ACCOUNT = Quotas(serverless_memory_mb=3072, serverless_concurrency=10, instances=0)


def _check(quota: str, limit: int, unit: str, in_use: int, wanted: int) -> None:
    if in_use + wanted > limit:
        raise ServiceError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{quota}' is {limit} {unit}, with current "
            f"utilization of {in_use} {unit} and a request delta of {wanted} {unit}. Please use "
            "AWS Service Quotas to request an increase for this quota. If AWS Service Quotas is "
            "not available, contact AWS support to request an increase for this quota.",
        )
