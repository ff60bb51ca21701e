"""The steps of ``ClassifyFunction`` that its measured variants wrap, and where they write.

It is beside them in the function's bundle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from imaging.decoder import Decoder
from pipeline.adapters.images_bucket import ImagesBucket
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.predictions_table import PredictionsTable

FOLDER_VARIABLE = "BENCH_STEPS_FOLDER"
STEPS = {
    "read": (ImagesBucket, "read"),
    "prepare": (Decoder, "prepare"),
    "call": (ModelEndpoint, "classify"),
    "write": (PredictionsTable, "write"),
}


def wrap_steps(timed: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> None:
    """Puts what `timed` makes of each step's name and method in the method's place."""
    for step, (owner, name) in STEPS.items():
        mock.patch.object(owner, name, timed(step, getattr(owner, name))).start()


def write_line(values: Mapping[str, Any]) -> None:
    """Appends one line of JSON to this process's file in the folder of the setting."""
    path = Path(os.environ[FOLDER_VARIABLE], f"{os.getpid()}.jsonl")
    with path.open("a") as file:
        file.write(json.dumps(values) + "\n")
