"""Batch inference as Ray Data's guide writes it: read, map, map_batches with a class, write.

    .tools/ray/bin/python -m bench.ray_batch WARM_UP FOLDER MODEL_DIR OUT

https://docs.ray.io/en/latest/data/batch_inference.html. Ray joins the preparation and the model
into one actor; two of them, at half a core for its scheduler, leave room for the task that reads.
`bench.bulk_peers` runs it.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import ray

from bench.peer_model import SIZE, Model, prepared, run_when_told

BATCH_IMAGES = 64


def prepare_row(row: dict[str, Any]) -> dict[str, Any]:
    """A file's bytes to pixels; zeros for a file that cannot be read."""
    pixels = prepared(row["bytes"])
    is_read = pixels is not None
    blank = np.zeros((SIZE, SIZE, 3), np.uint8)
    return {"path": row["path"], "is_read": is_read, "image": pixels if is_read else blank}


class Classifier:
    """An actor with the model."""

    def __init__(self, model_dir: str) -> None:
        self._model = Model(Path(model_dir))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Adds labels and confidences."""
        is_read = batch["is_read"]
        answers = iter(self._model.answers(batch["image"][is_read]) if is_read.any() else [])
        rows = [next(answers) if read else ("", 0.0) for read in is_read]
        labels, confidences = (list(each) for each in zip(*rows, strict=True))
        return {"path": batch["path"], "label": labels, "confidence": confidences}


def main(warm_up: str, folder: str, model_dir: str, out: str) -> None:
    """Start Ray, work over a first folder, then over the other on command."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def work(folder: str, out: str) -> None:
        (
            ray.data.read_binary_files(folder, include_paths=True)
            .map(prepare_row)
            .map_batches(
                Classifier,
                fn_constructor_args=(model_dir,),
                batch_size=BATCH_IMAGES,
                compute=ray.data.ActorPoolStrategy(size=2),
                num_cpus=0.5,
            )
            .write_parquet(out)
        )

    def rows() -> dict[str, Any]:
        found = ray.data.read_parquet(f"{out}/rows").take_all()
        root = folder.rstrip("/") + "/"
        return {each["path"].removeprefix(root): each["label"] or None for each in found}

    work(warm_up, f"{out}/warm_up")
    run_when_told(lambda: work(folder, f"{out}/rows"), rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
