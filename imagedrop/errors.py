"""Errors that the user can correct."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from imagedrop.text import printable
from training.errors import TrainingError


class UserError(Exception):
    """A problem that the user can correct, with the next step. Both are safe to print."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(printable(problem))
        self.next_step = printable(next_step)


_NEXT_STEPS = {
    errno.ENOSPC: "Free space on the disk of the output, and run the command again.",
    errno.EDQUOT: "Free space in your quota, and run the command again.",
    errno.EFBIG: "Raise the limit of a file's size (ulimit -f), and run the command again.",
    errno.EROFS: "Give a folder on a disk that can be written.",
    errno.EACCES: "Allow it, or give another path.",
    errno.ENOTDIR: "Give a folder, or move the file out of the way.",
    errno.EEXIST: "Give another path, or move the file out of the way.",
    errno.EISDIR: "Give a file, not a folder.",
    errno.ENOENT: "Give a path that exists.",
    errno.ENAMETOOLONG: "Give a shorter path.",
}


def disk_error(error: OSError) -> UserError:
    """Turns an error of a file, a folder or a disk into a UserError."""
    problem = os.strerror(error.errno) if error.errno else str(error)
    if error.filename is not None:
        problem = f"{os.fsdecode(error.filename)}: {problem}"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        problem = f"The output could not be written: {problem}"
    return UserError(
        f"{problem}.",
        _NEXT_STEPS.get(error.errno or 0, "Correct that, and run the command again."),
    )


@contextmanager
def as_user_error() -> Iterator[None]:
    """Turns a `TrainingError` into a `UserError`, which the command line prints."""
    try:
        yield
    except TrainingError as error:
        raise UserError(error.problem, error.next_step) from error
