"""Where a model with any head looked: by how much covering each place lowers a label's probability.

M. D. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks" (ECCV 2014), 4.2.
The model was never trained on covered photos, so a map is a hint and not a sum of parts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging import ImageSpec
from model.serving.onnx_model import Images, OnnxModel

# Rows and columns of the map, the finest that the time allows. Each is one run of the model.
GRIDS = (7, 5, 3)
SECONDS = 8.0
LEAST_PROBABILITY = 1e-7  # smaller float32 softmax values are meaningless


@dataclass(frozen=True, slots=True)
class Occlusion:
    """A second session of a model, so that maps do not slow down classification.

    Attributes:
        cover: the mean of the model's normalisation, 0..255: what is grey to it.
    """

    model: OnnxModel
    cover: npt.NDArray[np.uint8]

    @classmethod
    def load(cls, weights: Path, spec: ImageSpec) -> Occlusion:
        """Raises OSError when the file cannot be read."""
        return cls(OnnxModel(weights), np.round(spec.mean).astype(np.uint8))

    def of(self, images: Images, label: int) -> npt.NDArray[np.float32]:
        """Returns the map of the label at this place in the card's list.

        Covers squares of twice a position's side, one at a time, because a position alone hides
        little.

        Args:
            images: uint8 [1, size, size, 3].

        Returns:
            float32 [rows, columns], by how much covering a place lowers the logarithm of the
            label's probability.
        """
        self._log_probability(images, label)  # the first run of a session is slower
        began = time.perf_counter()
        whole = self._log_probability(images, label)
        positions = affordable(time.perf_counter() - began)
        side = images.shape[1] / positions
        lost = np.zeros((positions, positions), np.float32)
        for row in range(positions):
            for column in range(positions):
                covered = images.copy()
                covered[0, _around(row, side), _around(column, side)] = self.cover
                lost[row, column] = whole - self._log_probability(covered, label)
        return lost

    def _log_probability(self, images: Images, label: int) -> float:
        probability = float(self.model.run(images).probabilities[0, label])
        return float(np.log(max(probability, LEAST_PROBABILITY)))


def affordable(seconds_a_run: float) -> int:
    """Returns the rows of the finest map within ``SECONDS``, else of the coarsest."""
    return next((each for each in GRIDS if each**2 * seconds_a_run <= SECONDS), GRIDS[-1])


def _around(position: int, side: float) -> slice:
    """Returns the pixels of a position and half a side around it."""
    return slice(max(0, round((position - 0.5) * side)), round((position + 1.5) * side))
