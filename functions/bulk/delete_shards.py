"""The last step of a complete run: its pixels and the model's answers to them are deleted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from bulk.run import RunFiles
from bulk.work_bucket import DELETED_AT_ONCE, WorkBucket


def delete_shards(work: WorkBucket, files: RunFiles, out_of_time: Callable[[], bool]) -> bool:
    """Deletes a run's shards and outputs; returns False when its time was over before the end.

    The shards are nearly all that a run stores. Run again after a crash, it deletes what is left.
    The run's other files stay: with them a complete run that is resumed does nothing again.

    Args:
        out_of_time: asked before each request.

    Raises:
        TransientError: S3 is busy or did not answer.
        ClientError: a permission is missing.
    """
    for prefix in (files.shards, files.outputs):
        # From the beginning each time: what was listed before is gone.
        while batch := list(islice(work.keys(prefix), DELETED_AT_ONCE)):
            if out_of_time():
                return False
            work.delete(batch)
    return True
