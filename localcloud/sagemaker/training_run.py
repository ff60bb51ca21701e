"""Runs one training job: fetches data and code, runs the program, uploads model and output."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.processes import kill_group
from localcloud.sagemaker import launch
from localcloud.sagemaker.state import Record
from localcloud.sagemaker.storage import Storage
from localcloud.sagemaker.training_data import (
    Checkpoints,
    DataError,
    fetch_channels,
    fetch_code,
    upload_folder,
)
from localcloud.sagemaker.training_layout import (
    PROGRAM,
    SOURCES,
    OptMl,
    all_hyperparameters,
    arguments,
    environment,
    users_hyperparameters,
)
from localcloud.sagemaker.training_log import JobLog

STOP_SECONDS = 120.0  # SageMaker's own time between SIGTERM and SIGKILL
CHECKPOINT_SECONDS = 2.0
MAX_REASON_CHARACTERS = 1024
MAX_LINE_BYTES = 1 << 20
NO_TORCH = " This installation has no torch: run `make train-setup`, then start the job again."


@dataclass(frozen=True, slots=True)
class Ended:
    """A job's result: TrainingJobStatus, SecondaryStatus, FailureReason."""

    status: str
    secondary: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The folders and services that a job uses."""

    folders: OptMl
    storage: Storage
    log: JobLog
    region: str


class TrainingRun:
    """Runs one job. ``stop`` ends it early and keeps its results so far."""

    def __init__(
        self, job: Record, surroundings: Surroundings, on_status: Callable[[str], None]
    ) -> None:
        self._job, self._on_status = job, on_status
        self._folders, self._storage = surroundings.folders, surroundings.storage
        self._log, self._region = surroundings.log, surroundings.region
        self._stopping = asyncio.Event()
        checkpoint = job.get("CheckpointConfig")
        self._checkpoints = checkpoint and Checkpoints(
            self._storage, checkpoint["S3Uri"], self._folders.checkpoints
        )

    def stop(self) -> None:
        """Ask the program to end."""
        self._stopping.set()

    async def run(self) -> Ended:
        """Run the whole job and delete its folder: results are in S3, output is in the log."""
        try:
            self._on_status("Downloading")
            await asyncio.to_thread(self._prepare)
            if self._stopping.is_set():
                return Ended("Stopped", "Stopped")
            self._on_status("Training")
            ended = await self._train()
            if ended.status != "Stopped":
                self._on_status("Uploading")
            await asyncio.to_thread(self._upload, ended)
        except DataError as error:
            ended = Ended("Failed", "Failed", str(error)[:MAX_REASON_CHARACTERS])
        except (ClientError, BotoCoreError) as error:
            reason = f"ClientError: S3: {error}"
            ended = Ended("Failed", "Failed", reason[:MAX_REASON_CHARACTERS])
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await self._log.flush()
        await asyncio.to_thread(shutil.rmtree, self._folders.root)
        return ended

    def _prepare(self) -> None:
        if self._folders.root.exists():
            shutil.rmtree(self._folders.root)
        self._folders.lay_out(self._job)
        fetch_channels(self._storage, self._job, self._folders)
        fetch_code(self._storage, str(all_hyperparameters(self._job)[SOURCES]), self._folders)
        if self._checkpoints:
            self._checkpoints.fetch()

    async def _train(self) -> Ended:
        limit_seconds = self._job["StoppingCondition"].get("MaxRuntimeInSeconds", 86_400)
        process = await self._spawn()
        helpers: list[asyncio.Task[Any]] = [
            asyncio.create_task(each)
            for each in (self._log.flush_forever(), self._send_checkpoints())
        ]
        reading = asyncio.create_task(self._read(process))
        try:
            stopping = asyncio.create_task(self._stopping.wait())
            helpers.append(stopping)
            await asyncio.wait(
                {reading, stopping}, timeout=limit_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if reading.done():
                return self._verdict(await process.wait())
            secondary = "Stopped" if stopping.done() else "MaxRuntimeExceeded"
            self._on_status("Stopping")
            await _end(process, STOP_SECONDS)
            await reading
            return Ended("Stopped", secondary)
        finally:
            for task in (*helpers, reading):
                task.cancel()
            await asyncio.gather(*helpers, reading, return_exceptions=True)
            await _end(process, 0)

    async def _spawn(self) -> asyncio.subprocess.Process:
        program = str(all_hyperparameters(self._job)[PROGRAM])
        return await asyncio.create_subprocess_exec(
            sys.executable,
            launch.__file__,
            program,
            *arguments(users_hyperparameters(self._job)),
            cwd=self._folders.code,
            env=environment(self._job, self._folders, self._region),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE_BYTES,
            start_new_session=True,  # Ctrl-C in the terminal is the stand-in's to handle
        )

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Log every line until the program has ended. A carriage return ends a line, too."""
        assert process.stdout is not None  # noqa: S101 - it was asked for
        rest = b""
        while chunk := await process.stdout.read(65_536):
            *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in lines:
                self._log.append(line.decode("utf-8", "replace"))
        if rest:
            self._log.append(rest.decode("utf-8", "replace"))

    async def _send_checkpoints(self) -> None:
        while self._checkpoints:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            with contextlib.suppress(FileNotFoundError):  # replaced meanwhile: next time
                await asyncio.to_thread(self._checkpoints.send_changes)

    def _verdict(self, exit_code: int) -> Ended:
        if exit_code == 0:
            return Ended("Completed", "Completed")
        message = "See the job's log for more information"
        if self._folders.failure.exists():
            message = self._folders.failure.read_text("utf-8", "replace").strip()
        advice = NO_TORCH if find_spec("torch") is None else ""
        room = MAX_REASON_CHARACTERS - len(advice) - 40
        return Ended(
            "Failed", "Failed", f"AlgorithmError: {message[:room]}, exit code: {exit_code}{advice}"
        )

    def _upload(self, ended: Ended) -> None:
        """Upload the model unless the job failed; output and checkpoints always."""
        output = f"{output_folder(self._job)}/output"
        if ended.status != "Failed":
            upload_folder(self._storage, self._folders.model, f"{output}/model.tar.gz")
        upload_folder(self._storage, self._folders.output_data, f"{output}/output.tar.gz")
        if self._checkpoints:
            self._checkpoints.send_changes()


def output_folder(job: Record) -> str:
    """``S3OutputPath/JOB``."""
    return f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job['TrainingJobName']}"


async def _end(process: asyncio.subprocess.Process, grace_seconds: float) -> None:
    """Stop the program and every process that it has started: SIGTERM, later SIGKILL."""
    if process.returncode is None and grace_seconds:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await process.wait()
    kill_group(process.pid)
    await process.wait()
