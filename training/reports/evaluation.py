"""`evaluation.html`: how good a model is, for the person who decides about it."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from markupsafe import Markup

from training.evaluation.calibration import REVIEW_TARGET
from training.evaluation.evaluate import MAX_INT8_LOSS_POINTS, Evaluation
from training.evaluation.measure import picture_of
from training.reports.axes import Axis
from training.reports.charts import column_chart
from training.reports.folds import spread_parts
from training.reports.matrix import (
    CLASSES_WITH_LARGE_CELLS,
    confusion_order,
    matrix_chart,
    most_confused,
)
from training.reports.page import TEMPLATES, render
from training.reports.reliability import interval_of, reliability_chart
from training.statistics import metrics

WORST = 12
SHOWN = 24
THUMBNAIL_PIXELS = 112


def evaluation_page(found: Evaluation) -> str:
    """The whole file."""
    probabilities, truth = found.measured.probabilities, found.measured.truth
    temperature = found.calibration.temperature
    tempered = metrics.tempered(probabilities, temperature)
    bins = metrics.reliability(probabilities, truth)
    return render(
        TEMPLATES / "evaluation.html",
        found=found,
        worst=found.confusions[:WORST],
        doubtful=found.doubtful[:SHOWN],
        named_others=() if found.others is None else found.others.named[:SHOWN],
        spread=[] if found.spread is None else spread_parts(asdict(found.spread)),
        thumbnail=lambda image: picture_of(image, THUMBNAIL_PIXELS),
        classes=sorted(found.class_scores.items(), key=lambda item: (item[1].f1, item[0])),
        matrix=_matrix(found),
        confused=_confused(found),
        bins=[(each, interval_of(each)) for each in bins],
        reliability=reliability_chart(
            {
                "as it is": bins,
                f"with temperature {temperature:.2f}": metrics.reliability(tempered, truth),
            }
        ),
        confidences=_confidences(probabilities.max(axis=1)),
        review_target=REVIEW_TARGET,
        max_int8_loss_points=MAX_INT8_LOSS_POINTS,
    )


def _matrix(found: Evaluation) -> Markup:
    """The matrix of the classes that have photos, or that were given to a photo."""
    used = np.nonzero(found.matrix.sum(axis=1) + found.matrix.sum(axis=0))[0]
    return _chart_of(found, used)


def _confused(found: Evaluation) -> Markup | None:
    """The matrix of the most confused classes; None if the whole matrix is readable, or nothing is
    confused."""
    classes = most_confused(found.matrix.tolist(), CLASSES_WITH_LARGE_CELLS)
    if len(found.class_scores) <= CLASSES_WITH_LARGE_CELLS or not classes:
        return None
    return _chart_of(found, np.array(classes))


def _chart_of(found: Evaluation, used: metrics.Ints) -> Markup:
    rows = found.matrix[np.ix_(used, used)].tolist()
    order = confusion_order(rows)
    labels = [found.card.labels[used[place]] for place in order]
    return matrix_chart(labels, [[rows[a][b] for b in order] for a in order])


def _confidences(confidence: metrics.Floats) -> Markup:
    counts, _ = np.histogram(confidence, metrics.CALIBRATION_BINS, (0, 1))
    confidences = Axis("confidence", 0, 1, is_share=True)
    return column_chart(counts.tolist(), confidences, Axis("photos"))
