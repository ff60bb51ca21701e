"""Writes the reason of a failure to the file that SageMaker reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from training.errors import TrainingError
from training.watch.observer import StopTraining

FILE_NAME = "failure"
# SageMaker shows this many characters of /opt/ml/output/failure as the job's FailureReason.
MAX_CHARACTERS = 1024


@contextmanager
def recorded(
    output_dir: Path | None, environment: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Writes a failure file for an exception inside the block, and raises it again.

    The file is `/opt/ml/output/failure` in a job (SM_OUTPUT_DIR), else `failure` in `output_dir`;
    that of an earlier training is removed. StopTraining is not a failure.
    """
    folder = Path(environment["SM_OUTPUT_DIR"]) if "SM_OUTPUT_DIR" in environment else output_dir
    if folder is None:
        yield
        return
    file = folder / FILE_NAME
    file.unlink(missing_ok=True)
    try:
        yield
    except StopTraining:
        raise
    except Exception as error:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{_reason(error)[:MAX_CHARACTERS]}\n", encoding="utf-8")
        raise


def _reason(error: Exception) -> str:
    """The sentence of a `TrainingError`; class and message of a bug."""
    return str(error) if isinstance(error, TrainingError) else f"{type(error).__name__}: {error}"
