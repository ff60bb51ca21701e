"""The photos with doubtful labels, by a training's answers out of fold, for the report."""

from __future__ import annotations

import numpy as np

from training.data.check import DoubtfulLabel
from training.data.dataset import DataSet
from training.data.doubtful import doubtful_labels
from training.statistics.out_of_fold import OutOfFold


def doubtful_by_answers(answers: OutOfFold, data: DataSet) -> tuple[DoubtfulLabel, ...]:
    """Ranks the photos of `data` that were answered, the most doubtful first.

    A photo is found by its bytes, so the data may have been split or renamed since; its label is
    that of today, which may have been corrected. Photos that cannot be read or have a label that
    the training lacked are passed over.
    """
    data, digests = data.read()
    images = {digests[each.path]: each for each in data.images}
    places = {label: place for place, label in enumerate(answers.labels)}
    found = [
        (row, images[digest], places[data.label(images[digest])])
        for row, digest in enumerate(answers.digests)
        if digest in images and data.label(images[digest]) in places
    ]
    probabilities = answers.mean_probabilities[[row for row, _, _ in found]]
    truth = np.array([place for _, _, place in found], np.int64)
    return tuple(
        DoubtfulLabel.of(each, found[each.row][1], answers.labels)
        for each in doubtful_labels(probabilities, truth)
    )
