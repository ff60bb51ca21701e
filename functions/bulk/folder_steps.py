"""The steps on a run's whole folder: from the input of a state of bulk.asl.json to its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bulk.begin import begin_run, read_run
from bulk.delete_shards import delete_shards
from bulk.list_images import known_progress, list_images
from bulk.plan_transform import plan_transform
from bulk.reconcile import reconcile
from bulk.run import BulkRun, RunFiles
from bulk.sources import image_source
from bulk.turns import FIRST_TURN, turn
from bulk.work_bucket import WorkBucket
from registry.served_model import ServedModel

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A page of 1,000 objects and its files take a few hundred milliseconds.
LAST_START_SECONDS = 30

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FolderSteps:
    """The adapters of the steps, how many chunks are worked on at once, and the function's end."""

    s3: S3Client
    work: WorkBucket
    served_model: Callable[[], ServedModel]
    now: Callable[[], str]
    concurrency: int
    out_of_time: Callable[[], bool]

    def list(self, state: State) -> dict[str, Any]:
        """Lists until the end, or until the time is nearly over; then the workflow calls it
        again."""
        progress = known_progress(state["progress"], self.work, _files(state))
        if not progress.done:
            run = begin_run(state["input"], self.work, self.served_model, self.now)
            source = image_source(self.s3, run.source)
            list_images(source, self.work, run, progress, self.out_of_time)
        return {"round": 0, "progress": asdict(progress), **FIRST_TURN}

    def turn(self, state: State) -> dict[str, Any]:
        return turn(self.work, self._run(state), state, self.concurrency)

    def plan(self, state: State) -> dict[str, Any]:
        run, execution = self._run(state), state["execution"]
        return {**plan_transform(self.work, run, state["round"], state["wave"], execution)}

    def reconcile(self, state: State) -> dict[str, Any]:
        return reconcile(self.work, self._run(state), self.now, state["round"])

    def delete(self, state: State) -> dict[str, Any]:
        """Deletes everything, or until the time is nearly over; then the workflow calls it
        again."""
        return {"done": delete_shards(self.work, _files(state), self.out_of_time)}

    def _run(self, state: State) -> BulkRun:
        return read_run(state["input"]["run"], self.work)


def _files(state: State) -> RunFiles:
    return RunFiles(state["input"]["run"])


STEPS = {
    "list": FolderSteps.list,
    "turn": FolderSteps.turn,
    "plan": FolderSteps.plan,
    "reconcile": FolderSteps.reconcile,
    "delete": FolderSteps.delete,
}
