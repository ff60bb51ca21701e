"""The last step of a complete run: deletes its pixels and the model's answers to them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from bulk.run import RunFiles
from bulk.work_bucket import DELETED_AT_ONCE, WorkBucket


def delete_shards(work: WorkBucket, files: RunFiles, out_of_time: Callable[[], bool]) -> bool:
    """Deletes a run's shards and outputs; returns False if it ran out of time.

    Shards are nearly all of a run's storage. Run again after a crash, this deletes the rest. The
    run's other files stay, so that resuming a complete run repeats nothing.

    Args:
        out_of_time: called before each request.

    Raises:
        TransientError: S3 is busy or did not answer.
        ClientError: a permission is missing.
    """
    for prefix in (files.shards, files.outputs):
        # From the beginning each time: the objects listed before are gone.
        while batch := list(islice(work.keys(prefix), DELETED_AT_ONCE)):
            if out_of_time():
                return False
            work.delete(batch)
    return True
