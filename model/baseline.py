"""Counts a model's answers to photos and how these look: the baseline of drift, on its card.

    python -m model.baseline FOLDER…

counts the photos below folders for the default model and writes `model/default/baseline.json`;
`python -m model.build_default` copies it to the card.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from archive.card import ModelCard
from archive.crowd import counted_names
from archive.reading import WEIGHTS_NAME, extract_archive
from imaging import ImageSpec, Prepared, Rejection, prepare
from imaging.appearance import appearance_of
from model.package import DEFAULT_ARCHIVE, ROOT
from model.serving.answers import answer_body
from model.serving.onnx_model import OnnxModel

BASELINE_FILE = ROOT / "model" / "default" / "baseline.json"


def baseline_counts(
    model: OnnxModel, card: ModelCard, photos: Iterable[Prepared]
) -> dict[str, int]:
    """Returns how often each name of ``archive.crowd`` occurs, of answers as they are served."""
    counts: Counter[str] = Counter()
    size = card.image_spec.size
    for photo in photos:
        pixels = np.frombuffer(photo.pixels, np.uint8).reshape(1, size, size, 3)
        (answer,) = json.loads(answer_body(model.run(pixels), card))
        sides = photo.width, photo.height
        looks = appearance_of(photo.pixels)
        counts.update(counted_names(answer["label"], answer["confidence"], sides, looks))
    return dict(sorted(counts.items()))


def prepared_photos(files: Iterable[Path], spec: ImageSpec) -> Iterator[Prepared]:
    """Yields the photos that can be prepared."""
    for file in files:
        found = prepare(file.read_bytes(), spec)
        if not isinstance(found, Rejection):
            yield found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command."""
    folders = sys.argv[1:] if arguments is None else arguments
    files = sorted(file for folder in folders for file in Path(folder).rglob("*") if file.is_file())
    with tempfile.TemporaryDirectory() as temporary:
        content = Path(temporary) / "content"
        card = extract_archive(DEFAULT_ARCHIVE, content)
        photos = prepared_photos(files, card.image_spec)
        counts = baseline_counts(OnnxModel(content / WEIGHTS_NAME), card, photos)
    BASELINE_FILE.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
    images = sum(count for name, count in counts.items() if name.startswith("labels:"))
    print(f"{images} photos counted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
