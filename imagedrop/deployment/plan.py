"""The plan of a deployment, computed before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagedrop.deployment.account import Account
from imagedrop.deployment.quotas import Quota, ask_quotas
from imagedrop.deployment.regions import peculiarities
from imagedrop.deployment.stacks import BROKEN, Stack
from imagedrop.deployment.template import Template, count_kinds
from imagedrop.errors import UserError
from imagedrop.estimates.idle import idle_month
from imagedrop.samconfig import SavedDeployment

IN_REVIEW = "REVIEW_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a person should know before agreeing.

    Attributes:
        status: of the stack that is there; None when it will be created.
        idle_dollars: US dollars a month by line; None where the price is not known.
    """

    chosen: SavedDeployment
    account: Account
    status: str | None
    kinds: Mapping[str, int]
    idle_dollars: Mapping[str, float | None]
    peculiarities: list[str]
    quotas: list[Quota]


def make_plan(account: Account, chosen: SavedDeployment, template: Template) -> Plan:
    """Reads the plan's facts from AWS; changes nothing.

    Raises:
        UserError: the stack cannot be deployed to.
    """
    status = Stack(account.clients("cloudformation"), chosen.stack_name).status()
    _require_deployable(chosen.stack_name, status)
    status = None if status == IN_REVIEW else status
    values = template.values(chosen.parameters)
    created = template.created(values)
    functions = list(created.values()).count("AWS::Serverless::Function")
    return Plan(
        chosen,
        account,
        status,
        count_kinds(created),
        idle_month(created, values),
        peculiarities(account.region),
        ask_quotas(account.clients, values, functions, template.mappings["Limits"]),
    )


def _require_deployable(name: str, status: str | None) -> None:
    if status in BROKEN:
        raise UserError(
            f"The stack {name} is {status}: AWS can only delete it.",
            "Delete what the failed try left, then deploy again: imagedrop destroy, "
            "imagedrop deploy",
        )
    # A stack in review has a change set and no resources yet; SAM continues it.
    if status is not None and status.endswith("_IN_PROGRESS") and status != IN_REVIEW:
        raise UserError(
            f"The stack {name} is {status}: another operation is running.",
            "Wait for its end; the CloudFormation console shows it.",
        )
