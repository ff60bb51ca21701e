"""The photos whose label is doubtful by a training's answers out of fold, for the report."""

from __future__ import annotations

from training.data.check import DoubtfulLabel
from training.data.dataset import DataSet
from training.data.doubtful import doubtful_labels
from training.out_of_fold import OutOfFold


def doubtful_by_answers(answers: OutOfFold, data: DataSet) -> tuple[DoubtfulLabel, ...]:
    """Ranks the photos of `data` that were answered, the most doubtful first.

    A photo is found by its bytes, so the data may have been split or renamed since; its label is
    the one that the training had. Photos that cannot be read are passed over.
    """
    data, digests = data.read()
    images = {digests[each.path]: each for each in data.images}
    return tuple(
        DoubtfulLabel(
            images[answers.digests[each.row]],
            each.confidence,
            answers.labels[each.suggested],
            each.suggested_confidence,
            each.is_confident,
        )
        for each in doubtful_labels(answers.mean_probabilities, answers.truth)
        if answers.digests[each.row] in images
    )
