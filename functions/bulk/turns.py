"""The turns of a round: each wave is prepared, then transformed, then recorded, one turn apart.

In turn n wave n is prepared, while wave n-1 is transformed and wave n-2 is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from bulk.run import BulkRun
from bulk.work_bucket import WorkBucket

# The state before a round's first turn.
FIRST_TURN = {"turn": 0, "ended": None}
# Preparing a chunk takes a function about five times as long as recording one.
RECORDING_SHARE = 4


class Part(TypedDict, total=False):
    """The work on a wave in one turn.

    Keys:
        any: False if this turn has no such wave; then the others are missing.
        wave: its number.
        chunks: key of the names of its chunks.
        concurrency: how many of them are worked on at once.
        problem: why it had no transform job, as Step Functions reports an error; empty if it had.
    """

    any: bool
    wave: int
    chunks: str
    concurrency: int
    problem: dict[str, str]


def turn(
    work: WorkBucket, run: BulkRun, state: Mapping[str, Any], concurrency: int
) -> dict[str, Any]:
    """Keeps the transform job of the turn before, and returns the parts of this turn.

    The same call again writes the same files.

    Args:
        state: the ``round``; the number of this ``turn``; and of the turn before the ``ended`` job
            as SageMaker describes it with the ``problem`` that prevented it, either may be empty.
        concurrency: how many chunks are worked on at once.
    """
    round_, number, ended = state["round"], state["turn"], state["ended"]
    chunks = work.read_json(run.files.chunks(round_)) or []
    waves = run.waves(len(chunks), round_)
    # A resumed run plans nothing for waves that are done, and keeps what it knows of their jobs.
    if 0 <= number - 2 < len(waves) and ended["job"]:
        work.write_json(run.files.job(round_, number - 2), ended["job"])
    if number < len(waves):
        work.write_json(run.files.wave(round_, number), chunks[waves[number]])

    def part(wave: int) -> Part:
        if not 0 <= wave < len(waves):
            return {"any": False}
        return {"any": True, "wave": wave, "chunks": run.files.wave(round_, wave)}

    prepare, record = part(number), part(number - 2)
    preparing, recording = parts_of(concurrency, prepare["any"], record["any"])
    if prepare["any"]:
        prepare |= {"concurrency": preparing}
    if record["any"]:
        record |= {"concurrency": recording, "problem": ended["problem"]}
    return {
        "round": round_,
        "turn": number + 1,
        "last": number == len(waves) + 1,
        "prepare": prepare,
        "transform": part(number - 1),
        "record": record,
    }


def parts_of(concurrency: int, prepares: bool, records: bool) -> tuple[int, int]:
    """Returns how many chunks are prepared and how many recorded at once, together at most all."""
    if not (prepares and records):
        return concurrency, concurrency
    recording = max(1, concurrency // RECORDING_SHARE)
    return max(1, concurrency - recording), recording


def jobs_of(work: WorkBucket, run: BulkRun, round_: int) -> list[dict[str, Any]]:
    """Returns a round's transform jobs, or the problems that prevented them."""
    chunks = work.read_json(run.files.chunks(round_)) or []
    waves = range(len(run.waves(len(chunks), round_)))
    found = (work.read_json(run.files.job(round_, wave)) for wave in waves)
    return [job for job in found if job]
