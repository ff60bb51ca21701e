"""``imagedrop jobs``: train and tune on SageMaker, or on the local cloud's stand-in for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from imagedrop.app import app
from imagedrop.commands.options import options_of, search_options, search_space, takes
from imagedrop.commands.train import read_hyperparameters, require_torch
from imagedrop.errors import UserError
from imagedrop.estimates import jobs as costs
from imagedrop.jobs.listing import print_jobs
from imagedrop.jobs.logs import JobLogs
from imagedrop.jobs.options import JobOptions
from imagedrop.jobs.plan import (
    JobStack,
    name_job,
    plan_features,
    plan_training,
    plan_tuning,
    stack_from_options,
)
from imagedrop.jobs.progress import conclude, jobs_of, wait_for
from imagedrop.jobs.service import Jobs, Kind, packed_sources
from imagedrop.output import Format, FormatOption, TargetOption, say
from imagedrop.target import Target, find_region, find_target
from imagedrop.target_name import TargetName
from imagedrop.text import printable
from training.launch.places import TrainingPlaces
from training.launch.training_job import TrainingJob, training_job_request
from training.launch.tuning_job import Strategy, WarmStart, tuning_job_request
from training.tracking.run_folders import RUNS, time_stamp
from training.tuning.search import SearchSpace

jobs = typer.Typer(
    help="Train and tune on SageMaker.", no_args_is_help=True, rich_markup_mode="rich"
)
app.add_typer(jobs, name="jobs")

LONGEST_TRAINING_NAME, LONGEST_TUNING_NAME = 63, 32
NameArgument = Annotated[str, typer.Argument(help="The job's name, as it was printed.")]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only print the request; upload and start nothing. With --role-arn it needs no stack.",
    ),
]
WaitOption = Annotated[
    bool,
    typer.Option("--wait", help="Wait until it ends, and show its log; Ctrl-C asks what to stop."),
]
OutputDirOption = Annotated[
    Path | None,
    typer.Option(
        help="Where a search's tuning.json and tuning.html are written; by default runs/NAME.",
        show_default=False,
    ),
]


@jobs.command(epilog="Example: imagedrop jobs train --data s3://BUCKET/training/data/dogs/ --wait")
@takes(options_of(JobOptions))
def train(
    *,
    hyperparameters: Annotated[
        Path | None,
        typer.Option(help="Take the best hyperparameters of this tuning.json; --set overrides."),
    ] = None,
    debugger: Annotated[
        bool, typer.Option("--debugger", help="Add Debugger's hook, rules and ProfilerReport.")
    ] = False,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    target: TargetOption = TargetName.LOCAL,
    **job: Any,
) -> None:
    """Train a model in a job; it ends as model.tar.gz in the models bucket."""
    options, now = JobOptions.from_command(job | {"debugger": debugger}), datetime.now(UTC)
    best = _best(hyperparameters, options) if hyperparameters else {}
    # The registry holds one archive for each name and version, so each job needs a new version.
    chosen = {"version": time_stamp(now)} | best | dict(options.settings)
    options = replace(options, settings=chosen)
    name = name_job(options.job_name, options.data, now, LONGEST_TRAINING_NAME)
    say(costs.estimate(options.instance_type, options.max_runtime_seconds, spot=options.spot))
    launch = Launch(options, name, training_job_request, Jobs.create_training)
    if dry_run:
        _print_requests(target, [launch])
    else:
        _start(target, [launch], wait=wait, output_dir=None)


def _best(file: Path, options: JobOptions) -> dict[str, Any]:
    """The best of a search with the job's backbone."""
    chosen = dict(options.settings).get("backbone") or options.backbone
    return read_hyperparameters(file, str(chosen))


@jobs.command(epilog="Example: imagedrop jobs tune --data s3://BUCKET/training/data/dogs/ --wait")
@takes([*options_of(JobOptions), *search_options(SearchSpace())])
def tune(
    *,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials.")] = 20,
    parallel: Annotated[int, typer.Option(min=1, help="Trials that run at once.")] = 2,
    strategy: Annotated[Strategy, typer.Option(help="How the next trial is chosen.")] = "Bayesian",
    early_stopping: Annotated[bool, typer.Option(help="End poor trials early.")] = True,
    parent: Annotated[
        list[str] | None, typer.Option(help="An earlier search to begin from; may be repeated.")
    ] = None,
    warm_start: Annotated[
        WarmStart, typer.Option(help="How this search differs from its parents.")
    ] = "IdenticalDataAndAlgorithm",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search.")] = 1,
    debugger: Annotated[
        # Known here so that the error can say why it is impossible, and what to do.
        bool, typer.Option("--debugger", hidden=True)
    ] = False,
    output_dir: OutputDirOption = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    target: TargetOption = TargetName.LOCAL,
    **given: Any,
) -> None:
    """Search hyperparameters in a tuning job; every trial is a training job.

    The command first runs a job that computes the features for all trials, and waits for it.
    """
    original = SearchSpace()
    space = search_space({name: given.pop(name) for name in original.searched}, original)
    options = JobOptions.from_command(given | {"debugger": debugger})
    name = name_job(options.job_name, options.data, datetime.now(UTC), LONGEST_TUNING_NAME)
    search = {
        "space": space,
        "strategy": strategy,
        "max_trials": trials,
        "max_parallel": parallel,
        "early_stopping": early_stopping,
        "random_seed": seed,
        "parents": tuple(parent or ()),
        "warm_start": warm_start,
    }

    def request(training: TrainingJob) -> dict[str, Any]:
        return tuning_job_request(plan_tuning(training, name, **search))

    launches = []
    if options.features is None and trials > 1:
        features = Launch(
            plan_features(options), f"{name}-features", training_job_request, Jobs.create_training
        )
        launches.append(features)
        options = replace(options, features=features.name)
    launches.append(Launch(options, name, request, Jobs.create_tuning))
    seconds, count = options.max_runtime_seconds, trials + len(launches) - 1
    say(costs.estimate(options.instance_type, seconds, count, spot=options.spot))
    if dry_run:
        _print_requests(target, launches)
    else:
        _start(target, launches, wait=wait, output_dir=output_dir)


@jobs.command(epilog="Example: imagedrop jobs status dogs-20261125t154512 --wait")
def status(
    name: NameArgument,
    wait: WaitOption = False,
    output_dir: OutputDirOption = None,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """Show the state of a job, its results, and its cost."""
    found = find_target(target)
    if wait:
        wait_for(found, name, output_dir or RUNS / name)
        return
    job = jobs_of(found).find(name)
    say(f"{job.kind} {name}: {job.status}, {job.step}")
    if not job.is_under_way:
        conclude(found, job, output_dir or RUNS / name)


@jobs.command("list", epilog="Example: imagedrop jobs list --format jsonl")
def list_command(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Maximum number of jobs.")] = 20,
    format_: FormatOption = Format.TABLE,
    target: TargetOption = TargetName.LOCAL,
) -> None:
    """List the latest jobs; a search is one of them, its trials are not."""
    found = jobs_of(find_target(target)).latest(limit)
    if not found:
        say("There are no jobs. Start one with: imagedrop jobs train --data FOLDER")
        return
    print_jobs([each.to_json() for each in found], format_)


@jobs.command(epilog="Example: imagedrop jobs logs dogs-20261125t154512")
def logs(name: NameArgument, target: TargetOption = TargetName.LOCAL) -> None:
    """Print the log of a training job so far; for a search, the logs of its trials."""
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
    """Stop a job; its output so far is kept."""
    found = find_target(target)
    job = jobs_of(found).find(name)
    if not job.is_under_way:
        raise UserError(f"{name} has ended: {job.status}.", f"See: imagedrop jobs status {name}")
    jobs_of(found).stop(job)
    say(f"Stopping. See its result with: imagedrop jobs status {name}")


@dataclass(frozen=True, slots=True)
class Launch:
    """A job to start: its options, how to build its request, the call that sends the request."""

    options: JobOptions
    name: str
    request: Callable[[TrainingJob], dict[str, Any]]
    create: Callable[[Jobs, dict[str, Any]], None]

    def content(self, stack: JobStack, source_sha256: str) -> dict[str, Any]:
        return self.request(plan_training(self.options, stack, source_sha256, self.name))


def _start(
    target: TargetName, launches: Sequence[Launch], *, wait: bool, output_dir: Path | None
) -> None:
    """Uploads the code and starts the jobs, each after the one before has completed.

    Raises:
        UserError: a job is invalid; then none has started.
    """
    if target is TargetName.LOCAL:
        require_torch()  # the stand-in runs jobs with this installation
    found = find_target(target)
    stack = _stack(found)
    with packed_sources() as sources:
        contents = [each.content(stack, sources.sha256) for each in launches]
        key = TrainingPlaces(stack.models_bucket).source_key(sources.sha256)
        if sources.upload(found.client("s3"), stack.models_bucket, key):
            say(f"Uploaded the code to s3://{stack.models_bucket}/{key}")
    last = launches[-1]
    for launch, content in zip(launches, contents, strict=True):
        launch.create(jobs_of(found), content)
        say(f"Started: {launch.name}")
        if launch is not last:
            say(f"It computes the features once for all trials; {last.name} starts after it.")
            say("If this command ends first, repeat it after that job with")
            say(f"  --features {launch.name}")
        if wait or launch is not last:
            wait_for(found, launch.name, output_dir or RUNS / launch.name)
    if not wait:
        say(f"→ Watch it with: imagedrop jobs status {last.name} --wait")


def _print_requests(target: TargetName, launches: Sequence[Launch]) -> None:
    """Prints the requests that would be sent, one JSON object after the other.

    The bucket and the role are the stack's; without a stack, those of --data and --role-arn.

    Raises:
        UserError: neither names them, or a job is invalid.
    """
    try:
        stack = _stack(find_target(target))
    except UserError as error:
        named = stack_from_options(launches[0].options, find_region(target))
        if named is None:
            raise UserError(
                str(error),
                f"{error.next_step}; or give --data s3://… and --role-arn, which need no stack.",
            ) from error
        stack = named
        say(f"{error} So the bucket is the data's, {stack.models_bucket}.")
    with packed_sources() as sources:
        for launch in launches:
            print(json.dumps(launch.content(stack, sources.sha256), indent=2))
    say("Nothing was uploaded or started.")


def _stack(target: Target) -> JobStack:
    outputs = target.outputs
    return JobStack(
        outputs["ModelsBucketName"],
        outputs["TrainingRoleArn"],
        target.session.region_name,
        outputs.get("DataKeyArn"),  # stacks before 0.3.0 have no such output
    )
