"""The account's quotas that this stack needs, read from AWS if possible. Service Quotas lists the
values applied to an account; all others have AWS's default. It does not list the memory of a
serverless endpoint, and for Lambda's concurrency a new
account's limit of 10 shows in Lambda's own account settings only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.deployment.account import Clients
from imagedrop.estimates.bulk_run import RunSettings
from imagedrop.jobs.options import JobOptions
from pipeline.adapters.service_errors import error_code

SERVERLESS_CONCURRENCY = "L-96300102"
# Public reports of new accounts: "'Memory size in MB per serverless endpoint' is 3072 MBs".
NEW_ACCOUNT_ENDPOINT_MEGABYTES = 3072
# The concurrency that Lambda keeps unreserved.
UNRESERVED_EXECUTIONS = 100
# ReservedConcurrentExecutions of ApiFunction, ChangesFunction, DriftFunction and ShadowFunction.
OWN_EXECUTIONS = (20, 10, 1, 2)


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota, and how much of it the stack needs.

    Attributes:
        allowed: None when it could not be asked; `problem` then says why.
        unknown_step: what to do when it could not be asked.
        is_for_all: False when only some uses need it, such as training jobs.
    """

    name: str
    needed: float
    allowed: float | None
    problem: str = ""
    is_for_all: bool = True
    unknown_step: str = "Look it up in the console of Service Quotas."

    @property
    def is_enough(self) -> bool:
        """Whether it was asked and suffices."""
        return self.allowed is not None and self.allowed >= self.needed

    @property
    def is_too_small(self) -> bool:
        """Whether it was asked and does not suffice."""
        return self.allowed is not None and self.allowed < self.needed

    def line(self) -> str:
        """Returns it as one line."""
        if self.allowed is None:
            return f"{self.name}: needs {self.needed:g}; {self.problem}"
        return f"{self.name}: needs {self.needed:g}, the account has {self.allowed:g}"


def ask_quotas(
    clients: Clients, values: Mapping[str, str], functions: int, limits: Mapping[str, Any]
) -> list[Quota]:
    """Asks for every quota; a quota that AWS does not return is listed with the reason.

    Args:
        values: the template's parameters.
        functions: how many Lambda functions the stack has.
        limits: the template's mapping `Limits`.
    """
    reserves = limits["Functions"]["Reserve"] == "yes"
    machines = float(limits["Endpoint"]["MaxInstances"])
    return [
        _lambda_executions(clients, int(values["ClassifyConcurrency"]), functions, reserves),
        *_sagemaker(clients, values, machines),
    ]


def _lambda_executions(clients: Clients, concurrency: int, functions: int, reserves: bool) -> Quota:
    needed = 2 * concurrency  # batches of images, and chunks of a bulk run
    if reserves:
        # Each other function reserves ClassifyConcurrency.
        others = functions - len(OWN_EXECUTIONS)
        needed = others * concurrency + sum(OWN_EXECUTIONS) + UNRESERVED_EXECUTIONS
    name = "Lambda functions at once"
    try:
        limits = clients("lambda").get_account_settings()["AccountLimit"]
    except (ClientError, BotoCoreError) as error:
        return Quota(name, needed, None, _why(error))
    return Quota(name, needed, limits["ConcurrentExecutions"])


def _sagemaker(clients: Clients, values: Mapping[str, str], machines: float) -> Iterator[Quota]:
    capacity = values["EndpointCapacity"]
    is_serverless = not capacity.startswith("ml.")
    wanted = [
        (f"{RunSettings().instance_type} for transform job usage", 1.0, False),
        (f"{_training_machine()} for training job usage", 1.0, False),
    ]
    if not is_serverless:
        wanted.insert(0, (f"{capacity} for endpoint usage", machines, True))
    known: dict[str, float] = {}
    problem = "Service Quotas does not list it"
    try:
        known = _known_quotas(clients("service-quotas"))
    except (ClientError, BotoCoreError) as error:
        problem = _why(error)
    if is_serverless:
        concurrency = known.get(SERVERLESS_CONCURRENCY)
        yield Quota(
            f"calls at once of all serverless endpoints ({SERVERLESS_CONCURRENCY})",
            float(values["ClassifyConcurrency"]),
            concurrency,
            problem,
        )
        yield Quota(
            "MB of a serverless endpoint",
            float(capacity),
            None,
            f"AWS has no way to ask; new accounts have {NEW_ACCOUNT_ENDPOINT_MEGABYTES}",
            unknown_step="A deployment that asks for too much fails and says so.",
        )
    for name, needed, is_for_all in wanted:
        yield Quota(name, needed, known.get(name), problem, is_for_all)


def _training_machine() -> str:
    (machine,) = (each.default for each in fields(JobOptions) if each.name == "instance_type")
    return str(machine)


def _known_quotas(service_quotas: Any) -> dict[str, float]:
    """Returns SageMaker's quotas by code and by name; applied values replace AWS's defaults."""
    known: dict[str, float] = {}
    for listing in ("list_aws_default_service_quotas", "list_service_quotas"):
        for page in service_quotas.get_paginator(listing).paginate(ServiceCode="sagemaker"):
            for each in page["Quotas"]:
                known[each["QuotaCode"]] = known[each["QuotaName"]] = each["Value"]
    return known


def _why(error: ClientError | BotoCoreError) -> str:
    code = error_code(error) if isinstance(error, ClientError) else type(error).__name__
    return f"it could not be asked ({code})"
