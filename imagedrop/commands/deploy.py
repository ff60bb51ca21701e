"""``imagedrop deploy``: the plan, then SAM's build and deployment with the same parameters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from imagedrop.app import command
from imagedrop.deployment.account import open_account
from imagedrop.deployment.interpreters import RUNTIMES, Interpreter, find_interpreter
from imagedrop.deployment.plan import Plan, make_plan
from imagedrop.deployment.remedies import next_step
from imagedrop.deployment.sam import Sam, find_sam
from imagedrop.deployment.stacks import BROKEN, Stack
from imagedrop.deployment.template import load_template
from imagedrop.errors import UserError
from imagedrop.output import exit_on_interrupt, say
from imagedrop.samconfig import SavedDeployment, read_deployment, save_deployment
from imagedrop.target import aws_session

PROJECT = Path(__file__).parents[2]
RUNTIME = "PythonRuntime"

StackNameOption = Annotated[
    str | None, typer.Option(help="The stack's name.", show_default="samconfig.toml's")
]
RegionOption = Annotated[
    str | None, typer.Option(help="AWS region.", show_default="samconfig.toml's, or the profile's")
]
ProfileOption = Annotated[
    str | None, typer.Option(help="AWS profile.", show_default="samconfig.toml's")
]


@command("imagedrop deploy --dry-run")
def deploy(
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter of template.yaml; may be repeated."),
    ] = None,
    stack_name: StackNameOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Deploy the stack to AWS: print the plan and its idle cost, ask once, build and deploy."""
    sam, template = find_sam(PROJECT), load_template()
    chosen, interpreter = _choose(parameter or [], stack_name, region, profile)
    template.values(chosen.parameters)
    account = open_account(aws_session(chosen))
    plan = make_plan(account, chosen, template)
    print_plan(plan)
    if dry_run:
        return
    if not yes:
        typer.confirm("Deploy?", abort=True, err=True)
    save_deployment(chosen)
    with exit_on_interrupt(
        "Interrupted. If the deployment had begun, CloudFormation continues it: imagedrop doctor "
        "--target aws says how it ended."
    ):
        _deploy(
            sam, chosen, interpreter, Stack(account.clients("cloudformation"), chosen.stack_name)
        )
    say("Deployed. Check it, with one photo from bucket to row: imagedrop doctor --target aws")


def choose_deployment(
    stack_name: str | None, region: str | None, profile: str | None
) -> SavedDeployment:
    """Returns the saved deployment, overridden by the command line.

    Parameters belong to a stack in a region: those of another deployment are not taken over.
    """
    saved = read_deployment()
    is_another = stack_name not in (None, saved.stack_name)
    return SavedDeployment(
        stack_name or saved.stack_name,
        region or saved.region,
        profile or saved.profile,
        {} if is_another else saved.parameters,
    )


def _choose(
    given: list[str], stack_name: str | None, region: str | None, profile: str | None
) -> tuple[SavedDeployment, Interpreter]:
    base = choose_deployment(stack_name, region, profile)
    parameters = {**base.parameters, **_parse(given)}
    asked = _parse(given).get(RUNTIME)
    # The one of the last deployment first, so that the functions' Python does not change by chance.
    wanted = (asked,) if asked else dict.fromkeys((parameters.get(RUNTIME, RUNTIMES[0]), *RUNTIMES))
    interpreter = find_interpreter(tuple(wanted), os.environ.get("PATH", ""))
    parameters[RUNTIME] = interpreter.runtime
    session = aws_session(base)
    region_name = session.region_name
    return SavedDeployment(base.stack_name, region_name, base.profile, parameters), interpreter


def _parse(given: list[str]) -> dict[str, str]:
    parameters = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise UserError(
                f"--parameter takes NAME=VALUE, not {each!r}.",
                "imagedrop deploy --parameter EndpointCapacity=ml.m5.xlarge",
            )
        parameters[name] = value
    return parameters


def print_plan(plan: Plan) -> None:
    """Prints the place, the resources, their idle cost, and quotas that are too small."""
    verb = "Create" if plan.status is None else "Update"
    say(
        f"{verb} the stack {plan.chosen.stack_name} in {plan.account}",
        "bold",
    )
    if plan.status is None:
        for kind, count in plan.kinds.items():
            say(f"  {count:3} x {kind}")
    for name, value in sorted(plan.chosen.parameters.items()):
        say(f"  {name} = {value}")
    say("While idle it costs, US dollars a month, without free tiers:", "bold")
    for line, dollars in plan.idle_dollars.items():
        shown = "price unknown" if dollars is None else f"{dollars:8.2f}"
        say(f"  {shown}  {line}")
    known = sum(each for each in plan.idle_dollars.values() if each is not None)
    say(f"  {known:8.2f}  together; images cost extra: imagedrop cost --images 1000000")
    for sentence in plan.peculiarities:
        say(f"Note: {sentence}", "yellow")
    say("Quotas:", "bold")
    for quota in plan.quotas:
        mark = "ok" if quota.is_enough else ("!!" if quota.is_too_small else "? ")
        say(f"  {mark} {quota.line()}", "red" if quota.is_too_small and quota.is_for_all else "")


def _deploy(sam: Sam, chosen: SavedDeployment, interpreter: Interpreter, stack: Stack) -> None:
    """Builds and deploys; after a failure it says why and exits with 1."""
    say(f"Building with {interpreter.folder / interpreter.runtime}", "bold")
    if not sam.build(chosen, interpreter):
        raise UserError("`sam build` failed; its reason is above.", "Fix it, then deploy again.")
    say("Deploying", "bold")
    if sam.deploy(chosen):
        return
    status = stack.status()
    for failure in stack.failures() if status else []:
        say(f"{failure.resource}: {failure.reason}", "red")
        say(f"→ {next_step(failure.reason)}")
    way_out = "imagedrop deploy"
    if status in BROKEN:
        way_out = f"the stack is {status}: imagedrop destroy removes it, then imagedrop deploy"
    raise UserError("The deployment failed.", f"Fix the errors above; then: {way_out}")
