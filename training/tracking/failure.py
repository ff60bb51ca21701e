"""Writes the reason of a failure to the file that SageMaker reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from training.errors import TrainingError
from training.watch.observer import StopTraining

FILE_NAME = "failure"
# SageMaker shows this many characters of /opt/ml/output/failure as the job's FailureReason.
MAX_CHARACTERS = 1024


@contextmanager
def recorded(
    output_dir: Path | None,
    environment: Mapping[str, str] = os.environ,
    *,
    keeps_earlier: bool = False,
) -> Iterator[None]:
    """Writes a failure file for an exception inside the block, and raises it again.

    The file is `/opt/ml/output/failure` in a job (SM_OUTPUT_DIR), else `failure` in `output_dir`.
    Of several processes the first to fail writes it: the others fail because that one is gone.
    StopTraining is not a failure.

    Args:
        keeps_earlier: whether a file that is there already stays; else it is of an earlier training
            and is removed.
    """
    folder = Path(environment["SM_OUTPUT_DIR"]) if "SM_OUTPUT_DIR" in environment else output_dir
    if folder is None:
        yield
        return
    file = folder / FILE_NAME
    if not keeps_earlier:
        file.unlink(missing_ok=True)
    try:
        yield
    except StopTraining:
        raise
    except Exception as error:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), file.open("x", encoding="utf-8") as opened:
            opened.write(f"{_reason(error)[:MAX_CHARACTERS]}\n")
        raise


def _reason(error: Exception) -> str:
    """The sentence of a `TrainingError`; class and message of a bug."""
    return str(error) if isinstance(error, TrainingError) else f"{type(error).__name__}: {error}"
