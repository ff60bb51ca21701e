"""A folder through the deployed workflow, without and with faults."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.folders import make_folder
from bulk.ledger import Fate
from bulk.run import OVER_A_LIMIT, RunFiles
from bulk.work_bucket import WorkBucket
from imagedrop.bulk.reports import RunReports
from imagedrop.bulk.runs import BulkRuns, ExecutionStatus, bulk_runs
from imagedrop.uploads import Upload, upload_all
from localcloud.record import read
from tests.integration.conftest import REPOSITORY, Stack

PHOTOS = REPOSITORY / "demo" / "photos"
PATIENCE_SECONDS = 120.0
IMAGES, CHUNK = 40, 16
# Each step's function, and the files of the step before it: None where the run begins with it.
STEPS = {
    "list": ("BulkStepsFunction", None),
    "prepare": ("BulkChunksFunction", None),
    "plan": ("BulkStepsFunction", "prepared/"),
    "turn": ("BulkStepsFunction", "chunks-0.json"),
    "record": ("BulkChunksFunction", "manifests/"),
    "reconcile": ("BulkStepsFunction", "manifests/"),
}


@dataclass
class Folder:
    """Images that lie in the bucket, and the runs that a test starts over them."""

    stack: Stack
    prefix: str
    made: dict[str, bool]

    @cached_property
    def runs(self) -> BulkRuns:
        return bulk_runs(self.stack.target)

    @cached_property
    def work(self) -> WorkBucket:
        target = self.stack.target
        return WorkBucket(target.client("s3"), target.outputs["WorkBucketName"])

    def start(self, shard_images: int = 8, **changes: Any) -> str:
        run = f"test-{uuid.uuid4().hex[:12]}"
        source = {
            "kind": "folder",
            "bucket": self.stack.target.images_bucket,
            "prefix": self.prefix,
        }
        self.runs.start(
            {
                "run": run,
                "source": source,
                "again": True,
                "direct": False,
                "instance_type": "ml.m5.xlarge",
                "instance_count": 1,
                "max_concurrent_transforms": 2,
                "chunk_images": CHUNK,
                "shard_images": shard_images,
                **changes,
            }
        )
        return run

    def end(self, run: str) -> ExecutionStatus:
        assert eventually(
            lambda: self.runs.last_execution(run).status is not ExecutionStatus.RUNNING
        ), run
        return self.runs.last_execution(run).status

    def entered(self, run: str) -> list[str]:
        """The states of the workflow that a run's first execution has entered."""
        machine = self.stack.target.outputs["BulkStateMachineArn"]
        history = self.stack.target.client("stepfunctions").get_execution_history(
            executionArn=f"{machine.replace(':stateMachine:', ':execution:')}:{run}-1"
        )
        details = (event.get("stateEnteredEventDetails") for event in history["events"])
        return [each["name"] for each in details if each]

    def report(self, run: str) -> dict[str, Any]:
        return RunReports(self.work).read(run)

    def assert_reconciled(self, run: str) -> None:
        """Every image has one line in the ledger that says how it ended, and one row."""
        status = self.end(run)
        last = self.runs.last_execution(run)
        assert status is ExecutionStatus.SUCCEEDED, (last.error, last.cause)
        report = self.report(run)
        assert (report["status"], report["unaccounted"]) == ("COMPLETE", 0)
        files = RunFiles(run)
        assert [*self.work.keys(files.shards), *self.work.keys(files.outputs)] == []
        assert report["listed"] == len(self.made)
        entries = RunReports(self.work).entries(run, set(Fate) - {Fate.RESUBMITTED})
        fates = Counter((each["key"].removeprefix(self.prefix), each["fate"]) for each in entries)
        assert fates == Counter(
            (name, "rejected" if broken else "classified") for name, broken in self.made.items()
        )
        rows = self.rows()
        assert {name for name, row in rows.items() if row.status == "REJECTED"} == {
            name for name, broken in self.made.items() if broken
        }

    def rows(self) -> dict[str, Any]:
        address = f"s3://{self.stack.target.images_bucket}/{self.prefix}"
        table = self.stack.target.predictions_table()
        found = table.get_many([address + name for name in self.made])
        assert len(found) == len(self.made)
        return {image.removeprefix(address): row for image, row in found.items()}


def eventually(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def folder(stack: Stack, tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    """Images with odd names, one in twenty broken, in three chunks; each test has its own."""
    made = make_folder(tmp_path, getattr(request, "param", IMAGES))
    prefix = f"folders/{uuid.uuid4().hex[:8]}/"
    uploads = [Upload(tmp_path / name, prefix + name) for name in made]
    sent = upload_all(stack.target.client("s3"), stack.target.images_bucket, uploads)
    assert all(each.error is None for each in sent)
    return Folder(stack, prefix, made)


@pytest.fixture
def faults(stack: Stack) -> Iterator[Callable[..., None]]:
    """Sets the faults of the SageMaker stand-in in the first round of a run."""
    file = stack.home / "sagemaker" / "faults.json"
    yield lambda **what: file.write_text(json.dumps({"jobs": "*-0-*", **what})) and None
    file.unlink(missing_ok=True)


def test_a_folder_and_its_photos_sent_one_by_one_give_the_same_answers(stack: Stack) -> None:
    stack.command("send", PHOTOS, "--wait")
    stack.command("bulk", "start", PHOTOS, "--wait")
    lines = stack.command("predictions", "--format", "jsonl").splitlines()
    rows = [json.loads(line) for line in lines]
    dropped = {row["key"]: row for row in rows if row["key"].startswith("incoming/photos/")}
    listed = {row["key"]: row for row in rows if row["key"].startswith("folders/photos/")}
    assert len(dropped) == len(listed) == len(list(PHOTOS.iterdir()))
    for key, row in dropped.items():
        other = listed[key.replace("incoming/", "folders/", 1)]
        assert (other["source"], row["source"]) == ("bulk", "drop")
        same = ("status", "label", "reason", "model", "format", "width", "height", "bytes")
        assert [other[name] for name in same] == [row[name] for name in same]
        assert other["confidence"] == pytest.approx(row["confidence"], abs=1e-3)


def test_waves_that_overlap_have_a_job_each_and_end_the_same(folder: Folder) -> None:
    run = folder.start(wave_images=CHUNK)
    folder.assert_reconciled(run)
    report = folder.report(run)
    assert report["rounds"] == 1
    assert [job["status"] for job in report["transform_jobs"]] == ["Completed"] * 3


@pytest.mark.parametrize("folder", [100], indirect=True)
def test_a_hundred_images_with_odd_names_have_the_same_rows_packed_and_direct(
    folder: Folder,
) -> None:
    folder.assert_reconciled(folder.start())
    packed = folder.rows()
    folder.assert_reconciled(folder.start(direct=True))
    for name, row in folder.rows().items():
        assert (row.label, row.format, row.width) == (
            packed[name].label,
            packed[name].format,
            packed[name].width,
        )


def test_lost_truncated_and_failed_outputs_are_asked_for_again(
    folder: Folder, faults: Callable[..., None]
) -> None:
    # One image a shard: 38 outputs, of which three are lost, one is cut, and one object fails.
    faults(drop_outputs=[3, 15, 30], truncate_outputs=[7], fail_objects=[20])
    run = folder.start(shard_images=1)
    folder.assert_reconciled(run)
    report = folder.report(run)
    assert report["failures"] == {"no_output": 4, "invalid_output": 1}
    assert [job["status"] for job in report["transform_jobs"]] == ["Failed", "Completed"]


def test_a_throttled_job_is_asked_for_again(folder: Folder, faults: Callable[..., None]) -> None:
    faults(throttle_create=2)
    run = folder.start()
    folder.assert_reconciled(run)
    assert folder.report(run)["rounds"] == 1


def test_a_quota_ends_the_run_at_once_and_is_the_reason_in_its_report(folder: Folder) -> None:
    run = folder.start(instance_count=21)  # SageMaker's default quota is 20 of a type
    assert folder.end(run) is ExecutionStatus.FAILED
    report = folder.report(run)
    assert (report["rounds"], report["unaccounted"]) == (1, 0)
    assert report["failed"] == sum(not broken for broken in folder.made.values())
    (job,) = report["transform_jobs"]
    assert (job["status"], job["error"]) == ("NotCreated", OVER_A_LIMIT)
    assert "'ml.m5.xlarge for transform job usage' is 20 Instances" in job["reason"]


def test_what_fails_twice_is_named_and_a_new_run_takes_it_up(
    folder: Folder, faults: Callable[..., None]
) -> None:
    faults(jobs="*", fail_objects=[1])
    run = folder.start()
    assert folder.end(run) is ExecutionStatus.FAILED
    assert folder.runs.last_execution(run).error == "BulkRunIncomplete"
    report = folder.report(run)
    assert (report["status"], report["unaccounted"]) == ("INCOMPLETE", 0)
    named = {each["key"].removeprefix(folder.prefix) for each in report["examples"]["failed"]}
    assert 0 < len(named) == report["failed"] <= 8
    faults()
    second = folder.start(again=False)
    assert folder.end(second) is ExecutionStatus.SUCCEEDED
    assert folder.report(second)["classified"] == len(named)


@pytest.mark.parametrize("step", STEPS)
def test_a_function_killed_in_its_work_changes_nothing_in_the_end(
    folder: Folder, step: str
) -> None:
    function, before = STEPS[step]
    if before is None:
        kill_idle_workers(folder.stack, function)
    run = folder.start()
    if before is not None:
        # The function has ended its earlier step now and waits for this one.
        assert eventually(lambda: any(folder.work.keys(RunFiles(run).root + before)))
        with held_in_record(folder, run) if step == "reconcile" else nullcontext():
            kill_idle_workers(folder.stack, function)
    killed = kill_the_first_at_work(folder.stack, function)
    folder.assert_reconciled(run)
    assert killed


def kill_idle_workers(stack: Stack, function: str) -> None:
    """The step under test starts in a new process, which has used no CPU time."""
    for process in workers(stack, function):
        process.kill()


@contextmanager
def held_in_record(folder: Folder, run: str) -> Iterator[None]:
    """A run that has come to its last step but one, and stays there until the end of the block."""
    held = workers(folder.stack, "BulkChunksFunction")
    for process in held:
        process.suspend()
    try:
        # The third turn of a run with one wave records what the second has transformed.
        assert eventually(lambda: folder.entered(run).count("AtOnce") == 3)
        yield
    finally:
        for process in held:
            process.resume()


def workers(stack: Stack, function: str) -> list[psutil.Process]:
    """The emulator's processes that run a function."""
    running = read(stack.home)
    assert running is not None
    found = []
    for each in running.processes:
        for process in psutil.Process(each.pid).children(recursive=True):
            try:
                if function in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
    return found


def kill_the_first_at_work(stack: Stack, function: str) -> bool:
    """Kills -9 the first process of a function that has worked for 0.15 of a step's 0.25 s."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for process in workers(stack, function):
            try:
                if sum(process.cpu_times()[:2]) > 0.15:
                    process.kill()
                    return True
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.01)
    return False


def test_two_runs_over_one_folder_at_once_leave_one_row_each(folder: Folder) -> None:
    runs = [folder.start(), folder.start()]
    for run in runs:
        folder.assert_reconciled(run)


def test_a_stopped_run_resumes_where_it_stopped(folder: Folder) -> None:
    run = folder.start(wave_images=CHUNK)
    files = RunFiles(run)
    assert eventually(lambda: any(folder.work.keys(f"{files.root}prepared/")))
    folder.runs.stop(run)
    assert folder.end(run) is ExecutionStatus.ABORTED
    prepared = {key: folder.work.read(key) for key in folder.work.keys(f"{files.root}prepared/")}
    folder.runs.resume(run)
    folder.assert_reconciled(run)
    assert {key: folder.work.read(key) for key in prepared} == prepared


def test_a_source_that_is_not_there_ends_with_a_clear_error(folder: Folder) -> None:
    folder.prefix = "folders/nothing/"
    source = {"kind": "folder", "bucket": "no-such-bucket-anywhere", "prefix": "x/"}
    run = folder.start(source=source)
    assert folder.end(run) is ExecutionStatus.FAILED
    assert folder.runs.last_execution(run).error == "SourceError"
    cause = folder.runs.last_execution(run).cause
    assert "the source cannot be read" in cause
