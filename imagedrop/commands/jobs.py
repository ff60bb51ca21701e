"""``imagedrop jobs``: trainings and searches on SageMaker, or on its stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from imagedrop.commands.train import read_hyperparameters, require_torch
from imagedrop.errors import UserError
from imagedrop.estimates import jobs as costs
from imagedrop.jobs.logs import JobLogs
from imagedrop.jobs.plan import (
    SETTABLE,
    JobOptions,
    Place,
    name_job,
    pairs,
    place_without_stack,
    plan_training,
    plan_tuning,
    time_stamp,
)
from imagedrop.jobs.progress import conclude, jobs_of, say, wait_for
from imagedrop.jobs.service import Jobs, Kind, packed_sources
from imagedrop.output import TargetOption
from imagedrop.render import printable
from imagedrop.target import Target, TargetName, find_region, find_target
from training.errors import TrainingError
from training.launch.places import TrainingPlaces
from training.launch.training_job import TrainingJob, training_job_request
from training.launch.tuning_job import Strategy, WarmStart, tuning_job_request
from training.search import SearchSpace
from training.settings import Backbone

jobs = typer.Typer(
    help="Train and tune on SageMaker.", no_args_is_help=True, rich_markup_mode="rich"
)

TUNINGS = Path("tuning-output")
LONGEST_TRAINING_NAME, LONGEST_TUNING_NAME = 63, 32
DEFAULTS = JobOptions(data="", backbone="resnet50")

NameArgument = Annotated[str, typer.Argument(help="The job's name, as it was printed.")]
DataOption = Annotated[
    str, typer.Option(metavar="S3URI", help="A data set: s3://BUCKET/training/data/NAME/.")
]
BackboneOption = Annotated[Backbone, typer.Option(help="What the head stands on.")]
WeightsOption = Annotated[
    str, typer.Option(help="imagenet, package, random, or s3://BUCKET/training/weights/FILE.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help=f"Any of {', '.join(SETTABLE)}."),
]
JobNameOption = Annotated[
    str | None, typer.Option(help="By default the data's name and the time.", show_default=False)
]
InstanceTypeOption = Annotated[str, typer.Option(help="The machine of each training.")]
RuntimeOption = Annotated[int, typer.Option(min=1, help="A training is stopped after so long.")]
SpotOption = Annotated[
    bool, typer.Option("--spot", help="Spot machines, which are spare and may be taken away.")
]
WaitSecondsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="With --spot, for waiting and training together; by default twice the training's.",
        show_default=False,
    ),
]
ImageOption = Annotated[
    str | None, typer.Option(help="A container of your own instead of AWS's.", show_default=False)
]
RoleOption = Annotated[
    str | None, typer.Option(help="Instead of the stack's TrainingRole.", show_default=False)
]
KmsOption = Annotated[str | None, typer.Option(help="Encrypts disk and output.")]
SubnetOption = Annotated[list[str] | None, typer.Option(help="Of the job's machine; several.")]
SecurityGroupOption = Annotated[list[str] | None, typer.Option(help="Beside --subnet; several.")]
IsolationOption = Annotated[
    bool, typer.Option("--network-isolation", help="No network at all; needs --image.")
]
TagOption = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE")]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the request; upload and start nothing. With --role-arn needs no stack.",
    ),
]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="Until it ends, with its log; Ctrl-C asks what to stop.")
]
OutputDirOption = Annotated[
    Path | None,
    typer.Option(
        help="Where a search's tuning.json and tuning.html go; by default tuning-output/NAME.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(jobs, name="jobs")


@jobs.command(epilog="Example: imagedrop jobs train --data s3://BUCKET/training/data/dogs/ --wait")
def train(
    ctx: typer.Context,
    data: DataOption,
    backbone: BackboneOption = "resnet50",
    weights: WeightsOption = "",
    hyperparameters: Annotated[
        Path | None, typer.Option(help="A tuning.json, whose best are taken; --set goes first.")
    ] = None,
    settings: SetOption = None,
    job_name: JobNameOption = None,
    instance_type: InstanceTypeOption = DEFAULTS.instance_type,
    max_runtime_seconds: RuntimeOption = DEFAULTS.max_runtime_seconds,
    spot: SpotOption = False,
    max_wait_seconds: WaitSecondsOption = None,
    debugger: Annotated[
        bool, typer.Option("--debugger", help="Debugger's hook, rules and ProfilerReport too.")
    ] = False,
    image: ImageOption = None,
    role_arn: RoleOption = None,
    kms_key: KmsOption = None,
    subnet: SubnetOption = None,
    security_group: SecurityGroupOption = None,
    network_isolation: IsolationOption = False,
    tag: TagOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Train a model in a job; it ends as model.tar.gz in the models bucket."""
    options, now = _options(ctx.params), datetime.now(UTC)
    best = read_hyperparameters(hyperparameters) if hyperparameters else {}
    # A version of its own: the registry holds one archive for each name and version.
    chosen = {"version": time_stamp(now)} | best | dict(options.settings)
    options = replace(options, settings=chosen)
    name = name_job(job_name, data, now, LONGEST_TRAINING_NAME)
    say(costs.estimate(instance_type, max_runtime_seconds, spot=spot))
    launch = Launch(options, name, training_job_request, Jobs.create_training)
    if dry_run:
        _print_request(target, launch)
    else:
        _start(target, launch, wait=wait, output_dir=None)


@jobs.command(epilog="Example: imagedrop jobs tune --data s3://BUCKET/training/data/dogs/ --wait")
def tune(
    ctx: typer.Context,
    data: DataOption,
    trials: Annotated[int, typer.Option(min=1, help="Trainings in all.")] = 20,
    parallel: Annotated[int, typer.Option(min=1, help="Trainings at once.")] = 2,
    strategy: Annotated[Strategy, typer.Option(help="How the next is chosen.")] = "Bayesian",
    early_stopping: Annotated[bool, typer.Option(help="End hopeless trainings.")] = True,
    lr: Annotated[tuple[float, float], typer.Option(help="Lowest and highest learning rate.")] = (
        0.001,
        0.1,
    ),
    batch_size: Annotated[list[int] | None, typer.Option(help="16, 32 and 64 by default.")] = None,
    epochs: Annotated[tuple[int, int], typer.Option(help="Fewest and most epochs.")] = (2, 6),
    parent: Annotated[
        list[str] | None, typer.Option(help="An earlier search to begin from; several.")
    ] = None,
    warm_start: Annotated[
        WarmStart, typer.Option(help="What is the same as in the parents.")
    ] = "IdenticalDataAndAlgorithm",
    seed: Annotated[int, typer.Option(min=0, help="Of the search.")] = 1,
    backbone: BackboneOption = "resnet50",
    weights: WeightsOption = "",
    settings: SetOption = None,
    job_name: JobNameOption = None,
    instance_type: InstanceTypeOption = DEFAULTS.instance_type,
    max_runtime_seconds: RuntimeOption = DEFAULTS.max_runtime_seconds,
    spot: SpotOption = False,
    max_wait_seconds: WaitSecondsOption = None,
    image: ImageOption = None,
    role_arn: RoleOption = None,
    kms_key: KmsOption = None,
    subnet: SubnetOption = None,
    security_group: SecurityGroupOption = None,
    network_isolation: IsolationOption = False,
    tag: TagOption = None,
    debugger: Annotated[
        # Known here, so that the answer is why it cannot be, and what to do.
        bool, typer.Option("--debugger", hidden=True)
    ] = False,
    output_dir: OutputDirOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Search hyperparameters in a tuning job; every trial is a training job."""
    options = _options(ctx.params)
    name = name_job(job_name, data, datetime.now(UTC), LONGEST_TUNING_NAME)
    try:
        space = SearchSpace(
            lr=lr, batch_sizes=tuple(batch_size or SearchSpace().batch_sizes), epochs=epochs
        )
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error

    def request(training: TrainingJob) -> dict[str, Any]:
        return tuning_job_request(
            plan_tuning(
                training,
                name,
                space=space,
                strategy=strategy,
                max_trials=trials,
                max_parallel=parallel,
                early_stopping=early_stopping,
                random_seed=seed,
                parents=tuple(parent or ()),
                warm_start=warm_start,
            )
        )

    say(costs.estimate(instance_type, max_runtime_seconds, trials, spot=spot))
    launch = Launch(options, name, request, Jobs.create_tuning)
    if dry_run:
        _print_request(target, launch)
    else:
        _start(target, launch, wait=wait, output_dir=output_dir)


@jobs.command(epilog="Example: imagedrop jobs status dogs-20261125t154512 --wait")
def status(
    name: NameArgument,
    wait: WaitOption = False,
    output_dir: OutputDirOption = None,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Say how a job stands, what it found, and what it cost."""
    found = find_target(target)
    if wait:
        wait_for(found, name, output_dir or TUNINGS / name)
        return
    job = jobs_of(found).find(name)
    say(f"{job.kind} {name}: {job.status}, {job.step}")
    if not job.is_under_way:
        conclude(found, job, output_dir or TUNINGS / name)


@jobs.command(epilog="Example: imagedrop jobs logs dogs-20261125t154512")
def logs(name: NameArgument, target: TargetOption = TargetName.LOCAL) -> None:
    """Print what a training job has printed so far; for a search, of its trials."""
    found = find_target(target)
    job = jobs_of(found).find(name)
    names = [name]
    if job.kind is Kind.TUNING:
        names = [each["TrainingJobName"] for each in jobs_of(found).trials(name)]
    for each in names:
        for line in JobLogs(found.client("logs"), each).new_lines():
            print(printable(line))


@jobs.command(epilog="Example: imagedrop jobs stop dogs-20261125t154512")
def stop(name: NameArgument, target: TargetOption = TargetName.LOCAL) -> None:
    """Stop a job; what it has made is kept."""
    found = find_target(target)
    job = jobs_of(found).find(name)
    if not job.is_under_way:
        raise UserError(f"{name} has ended: {job.status}.", f"See: imagedrop jobs status {name}")
    jobs_of(found).stop(job)
    say(f"Stopping. See how it ended with: imagedrop jobs status {name}")


def _options(given: dict[str, Any]) -> JobOptions:
    """The options that both commands have."""
    names = {each.name for each in fields(JobOptions)} & set(given)
    return replace(
        JobOptions(data=given["data"], backbone=given["backbone"]),
        **{name: given[name] for name in names - {"settings", "tags"}},
        settings=pairs(given["settings"] or (), "--set"),
        tags=pairs(given["tag"] or (), "--tag"),
        subnets=tuple(given["subnet"] or ()),
        security_groups=tuple(given["security_group"] or ()),
    )


@dataclass(frozen=True, slots=True)
class Launch:
    """A job that is to be started: what was asked for, its request, the call that takes it."""

    options: JobOptions
    name: str
    request: Callable[[TrainingJob], dict[str, Any]]
    create: Callable[[Jobs, dict[str, Any]], None]

    def content(self, place: Place, source_sha256: str) -> dict[str, Any]:
        return self.request(plan_training(self.options, place, source_sha256, self.name))


def _start(target: TargetName, launch: Launch, *, wait: bool, output_dir: Path | None) -> None:
    """Upload the code and start the job."""
    if target is TargetName.LOCAL:
        require_torch()  # the stand-in runs jobs with this installation
    found = find_target(target)
    place = _place(found)
    with packed_sources() as sources:
        content = launch.content(place, sources.sha256)
        key = TrainingPlaces(place.models_bucket).source_key(sources.sha256)
        if sources.upload(found.client("s3"), place.models_bucket, key):
            say(f"Uploaded the code to s3://{place.models_bucket}/{key}")
    launch.create(jobs_of(found), content)
    say(f"Started: {launch.name}")
    if wait:
        wait_for(found, launch.name, output_dir or TUNINGS / launch.name)
    else:
        say(f"→ Watch it with: imagedrop jobs status {launch.name} --wait")


def _print_request(target: TargetName, launch: Launch) -> None:
    """What would be sent. The stack names bucket and role; without one, data and --role-arn do.

    Raises:
        UserError: nothing names them, or the job cannot be.
    """
    try:
        place = _place(find_target(target))
    except UserError as error:
        named = place_without_stack(launch.options, find_region(target))
        if named is None:
            raise UserError(
                str(error),
                f"{error.next_step}; or give --data s3://… and --role-arn, which need no stack.",
            ) from error
        place = named
        say(f"{error} So the bucket is the data's, {place.models_bucket}.")
    with packed_sources() as sources:
        print(json.dumps(launch.content(place, sources.sha256), indent=2))
    say("Nothing was uploaded or started.")


def _place(target: Target) -> Place:
    outputs = target.outputs
    return Place(
        outputs["ModelsBucketName"], outputs["TrainingRoleArn"], target.session.region_name
    )
