"""Gathers images of many callers into runs of one model."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from model.serving.onnx_model import Images, Scores, joined


@dataclass(slots=True, eq=False)
class _Job:
    """One caller's images and their scores so far."""

    images: Images
    outcome: asyncio.Future[Scores]
    taken: int = 0
    scores: dict[int, Scores] = field(default_factory=dict)  # by their first image
    scored: int = 0
    failed: bool = False

    @property
    def left(self) -> int:
        return len(self.images) - self.taken

    @property
    def unwanted(self) -> bool:
        return self.failed or self.outcome.cancelled()

    # The next two run on the caller's event loop: runners may end in any order.
    def deliver(self, start: int, scores: Scores) -> None:
        self.scores[start] = scores
        self.scored += len(scores.probabilities)
        if self.scored == len(self.images) and not self.outcome.done():
            self.outcome.set_result(joined([self.scores[key] for key in sorted(self.scores)]))

    def fail(self, error: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a job that goes into one run."""

    job: _Job
    start: int
    images: Images

    def deliver(self, scores: Scores) -> None:
        self.job.outcome.get_loop().call_soon_threadsafe(self.job.deliver, self.start, scores)

    def fail(self, error: Exception) -> None:
        self.job.failed = True  # set now, so that no runner takes the rest of the job
        self.job.outcome.get_loop().call_soon_threadsafe(self.job.fail, error)


class Batcher:
    """Runs the model in threads, on all images that wait, up to a maximum a run.

    There is no delay to fill a batch: an idle runner starts at once, and images that arrive while
    all runners are busy form the next run. Waiting images are divided among the idle runners.
    Larger requests are cut into runs that take turns with other requests, so a large request
    delays a small one by one run only.
    """

    def __init__(self, run: Callable[[Images], Scores], max_images: int, runners: int) -> None:
        self._run_model = run
        self._max_images = max_images
        self._waiting: deque[_Job] = deque()
        self._waiting_images = 0
        self._idle_runners = 0
        self._changed = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"runner-{number}", daemon=True)
            for number in range(runners)
        ]
        for thread in self._threads:
            thread.start()

    async def scores(self, images: Images) -> Scores:
        """Returns the scores of uint8 ``[n, size, size, 3]``, in order.

        A cancelled caller's images leave the queue.

        Raises:
            RuntimeError: the batcher is closed.
            Exception: the error that the model raised on these images.
        """
        job = _Job(images, asyncio.get_running_loop().create_future())
        with self._changed:
            if self._closing:
                raise RuntimeError("the model was shut down")
            self._waiting.append(job)
            self._waiting_images += len(images)
            self._changed.notify(len(images))
        return await job.outcome

    def close(self) -> None:
        """Finishes the waiting work, then ends the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while pieces := self._next_pieces():
            self._run(pieces)

    def _next_pieces(self) -> list[_Piece]:
        """Waits for the next run's images; empty when the batcher is closed and none are left."""
        with self._changed:
            while True:
                pieces = self._take()
                if pieces or self._closing:
                    return pieces
                self._idle_runners += 1
                self._changed.wait()
                self._idle_runners -= 1

    def _take(self) -> list[_Piece]:
        """Takes this runner's share of the waiting images."""
        share = -(-self._waiting_images // (self._idle_runners + 1))
        room = min(self._max_images, share)
        pieces: list[_Piece] = []
        while room and self._waiting:
            job = self._waiting.popleft()
            if job.unwanted:
                self._waiting_images -= job.left
                continue
            count = min(room, job.left)
            pieces.append(_Piece(job, job.taken, job.images[job.taken : job.taken + count]))
            job.taken += count
            room -= count
            self._waiting_images -= count
            if job.left:
                self._waiting.append(job)  # behind the others: they take turns
        return pieces

    def _run(self, pieces: Sequence[_Piece]) -> None:
        try:
            scores = self._run_model(_gathered(pieces))
        except Exception as error:  # noqa: BLE001 - handed to the caller it concerns
            if len(pieces) == 1:
                pieces[0].fail(error)
                return
            # Find the job whose images the model cannot process; the others get their answers.
            for piece in pieces:
                self._run([piece])
            return
        start = 0
        for piece in pieces:
            stop = start + len(piece.images)
            piece.deliver(scores.part(start, stop))
            start = stop


def _gathered(pieces: Sequence[_Piece]) -> Images:
    if len(pieces) == 1:
        return pieces[0].images
    return np.concatenate([piece.images for piece in pieces])
