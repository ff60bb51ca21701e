"""Prints a job's progress and result, and asks what to do on Ctrl-C."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.errors import UserError
from imagedrop.estimates import jobs as costs
from imagedrop.jobs.logs import JobLogs, follow
from imagedrop.jobs.service import Job, Jobs, Kind
from imagedrop.jobs.tuning import tuning_of
from imagedrop.output import INTERRUPTED, say
from imagedrop.target import Target
from training.reports.tuning import write_tuning


def jobs_of(target: Target) -> Jobs:
    return Jobs(target.client("sagemaker"))


def wait_for(target: Target, name: str, output_dir: Path) -> None:
    """Prints changes of status and new lines of the log until the job ends.

    Raises:
        typer.Exit: the job did not complete, or the user stopped waiting.
        UserError: the job cannot be watched any more; it keeps running.
    """
    found, last = jobs_of(target), ""
    try:
        for seen in follow(found, JobLogs(target.client("logs"), name), name):
            if (now := f"{seen.job.status}: {seen.job.step}") != last:
                say(f"· {now}")
                last = now
            for line in seen.lines:
                say(f"  {line}")
    except KeyboardInterrupt:
        _ask_what_to_stop(found, name)
        raise typer.Exit(INTERRUPTED) from None
    except (BotoCoreError, ClientError) as error:
        # Credentials and networks may fail during hours of waiting; the job needs neither.
        raise UserError(
            f"{name} cannot be watched now, but keeps running: {error}",
            f"Then continue with: imagedrop jobs status {name} --wait",
        ) from error
    conclude(target, seen.job, output_dir)


def _ask_what_to_stop(found: Jobs, name: str) -> None:
    """Asks whether to stop the job too; without an answer it keeps running, and costing."""
    is_to_stop = False
    # Reading from an open pipe without a writer would block for ever.
    if sys.stdin.isatty():
        try:
            is_to_stop = typer.confirm(f"\nStop {name} too?", default=False, err=True)
        except (typer.Abort, KeyboardInterrupt):
            is_to_stop = False
    job = found.find(name)
    if is_to_stop and job.is_under_way:
        found.stop(job)
        say(f"Stopping. See its result with: imagedrop jobs status {name}")
    elif job.is_under_way:
        say(f"It keeps running. Watch it with: imagedrop jobs status {name} --wait")
        say(f"Stop it with: imagedrop jobs stop {name}")
    else:
        say(f"It has already ended. See its result with: imagedrop jobs status {name}")


def conclude(target: Target, job: Job, output_dir: Path) -> None:
    """Prints a job's metrics, model or best hyperparameters, and its bill.

    Raises:
        typer.Exit: the job did not complete.
    """
    found, description = jobs_of(target), job.description
    if job.kind is Kind.TRAINING:
        for each in description.get("FinalMetricDataList", []):
            say(f"{each['MetricName']:12} {each['Value']:.4f}")
        machine, names = description["ResourceConfig"]["InstanceType"], [job.name]
        chosen = description.get("HyperParameters", {})
        is_model = chosen.get("features-only", "false") == "false"
        if job.status == "Completed" and is_model:  # the model is exported last
            say(f"model        {description['ModelArtifacts']['S3ModelArtifacts']}")
    else:
        definition = description["TrainingJobDefinition"]
        machine = definition["ResourceConfig"]["InstanceType"]
        trials = found.trials(job.name)
        names = [each["TrainingJobName"] for each in trials]
        if description.get("BestTrainingJob"):
            tuning = tuning_of(job, trials)
            say(f"{tuning.objective} {tuning.value:.4f} with {tuning.best}")
            for note in tuning.notes:
                say(note)
            file = write_tuning(tuning, output_dir)
            say(f"Next: imagedrop jobs train --data S3URI --hyperparameters {file}")
    say(costs.bill(machine, found.billed_seconds(names)))
    if "FailureReason" in description:
        say(description["FailureReason"])
    if job.status != "Completed":
        say(f"{job.status}. Its lines: imagedrop jobs logs {job.name}")
        raise typer.Exit(1)
