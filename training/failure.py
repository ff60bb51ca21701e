"""Why a training ended, where SageMaker and people look for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from training.errors import TrainingError

log = logging.getLogger(__name__)

FILE_NAME = "failure"
# SageMaker shows this many characters of /opt/ml/output/failure as the job's FailureReason.
MAX_CHARACTERS = 1024


def report(
    error: BaseException, output_dir: Path | None, environment: Mapping[str, str] = os.environ
) -> None:
    """Says it on standard error, and in the failure file.

    The file is `/opt/ml/output/failure` in a job (SM_OUTPUT_DIR), `failure` in `output_dir`
    otherwise. Whoever made a mistake reads one sentence; a bug comes with its traceback in the log.
    """
    if isinstance(error, TrainingError):
        log.error("%s", error)
        reason = str(error)
    else:
        reason = f"{type(error).__name__}: {error}"
        log.error("%s", reason, exc_info=error)
    folder = Path(environment["SM_OUTPUT_DIR"]) if "SM_OUTPUT_DIR" in environment else output_dir
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE_NAME).write_text(f"{reason[:MAX_CHARACTERS]}\n", encoding="utf-8")
