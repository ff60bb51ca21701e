"""Batch inference as Daft's guide writes it: glob, download, decode, resize, a class, write.

    .tools/daft/bin/python -m bench.daft_batch WARM_UP FOLDER MODEL_DIR OUT

https://docs.daft.ai: it prepares with its own decoder, and stretches images instead of cropping
them, which is less work than ours. `bench.bulk_peers` runs it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import daft
import numpy as np
from daft import DataType, Series

from bench.peer_model import SIZE, Model, run_when_told

BATCH_IMAGES = 64
ANSWER = DataType.struct({"label": DataType.string(), "confidence": DataType.float64()})


@daft.cls
class Classifier:
    """The model."""

    def __init__(self, model_dir: str) -> None:
        self._model = Model(Path(model_dir))

    @daft.method.batch(return_dtype=ANSWER, batch_size=BATCH_IMAGES)
    def classify(self, images: Series) -> list[dict[str, Any]]:
        """Labels and confidences; an empty label for a file that cannot be read."""
        files = images.to_pylist()
        good = [image for image in files if image is not None]
        answers = iter(self._model.answers(np.stack(good)) if good else [])
        rows = [next(answers) if image is not None else ("", 0.0) for image in files]
        return [{"label": label, "confidence": confidence} for label, confidence in rows]


def main(warm_up: str, folder: str, model_dir: str, out: str) -> None:
    """Work over a first folder, then over the other on command."""

    def work(folder: str, out: str) -> None:
        classifier = Classifier(model_dir)
        frame = daft.from_glob_path(f"{folder}/**").where(daft.col("size") >= 0)
        frame = frame.with_column("bytes", daft.col("path").download(on_error="null"))
        decoded = daft.col("bytes").decode_image(on_error="null", mode="RGB")
        frame = frame.with_column("image", decoded.resize(SIZE, SIZE))
        frame = frame.with_column("answer", classifier.classify(daft.col("image")))
        frame.select("path", "answer").write_parquet(out)

    def rows() -> dict[str, Any]:
        found = daft.read_parquet(f"{out}/rows/*.parquet").to_pydict()
        root = f"file://{folder.rstrip('/')}/"
        paths = [path.removeprefix(root) for path in found["path"]]
        labels = [each["label"] or None for each in found["answer"]]
        return dict(zip(paths, labels, strict=True))

    work(warm_up, f"{out}/warm_up")
    run_when_told(lambda: work(folder, f"{out}/rows"), rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
