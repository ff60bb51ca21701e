"""Temperature and review threshold: fitted on validation photos, judged on the measured ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archive.card import ModelCard
from training.evaluation import metrics
from training.evaluation.measure import Classes, Predicted, Probabilities

REVIEW_TARGET = 0.95


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature and a review threshold, and their effect on the measured photos.

    Attributes:
        temperature: in addition to the one that the model's graph may have already.
        fitted_on: the photos that both were fitted on, in words.
        threshold: for review, of the confidences with that temperature; with the accuracy and
            coverage of the photos that it was chosen on.
        coverage: the share of the measured photos above the threshold.
        accuracy: the share of those that is right; None where none is above.
    """

    temperature: float
    fitted_on: str
    ece_before: float
    ece_after: float
    threshold: metrics.Threshold | None
    coverage: float
    accuracy: float | None


def calibrate(
    measured: Predicted, validation: Predicted | None, before: float = 1.0
) -> Calibration:
    """Fits temperature and review threshold on validation photos; judges them on the measured ones.

    Without validation photos they are fitted on the measured ones, and each half of those is
    judged by a fit on the other half, so that no photo is judged by a fit on itself.

    Args:
        before: the temperature that the model's graph has already.
    """
    source = validation or measured
    temperature, threshold = _fitted(source.probabilities, source.truth, before)
    if validation is not None:
        after = metrics.tempered(measured.probabilities, temperature)
        above = _above(after, threshold)
        fitted_on = f"{len(validation.truth)} validation photos"
    else:
        after, above = _cross_fitted(measured, before)
        fitted_on = f"the {len(measured.truth)} measured photos; cross-fitted by halves"
    return Calibration(
        temperature=temperature,
        fitted_on=fitted_on,
        ece_before=metrics.expected_calibration_error(measured.probabilities, measured.truth),
        ece_after=metrics.expected_calibration_error(after, measured.truth),
        threshold=threshold,
        coverage=float(above.mean()),
        accuracy=float(measured.right[above].mean()) if above.any() else None,
    )


def temperature_of_card(card: ModelCard) -> float:
    """Returns the temperature that the model's graph has, as its card says."""
    noted = card.metrics.get("calibration")
    found = noted.get("temperature") if isinstance(noted, dict) else None
    return float(found) if isinstance(found, int | float) and found > 0 else 1.0


def _fitted(
    probabilities: Probabilities, truth: Classes, before: float
) -> tuple[float, metrics.Threshold | None]:
    temperature = metrics.fit_temperature(probabilities, truth, before)
    after = metrics.tempered(probabilities, temperature)
    return temperature, metrics.review_threshold(after, truth, REVIEW_TARGET)


def _above(
    probabilities: Probabilities, threshold: metrics.Threshold | None
) -> npt.NDArray[np.bool_]:
    least = np.inf if threshold is None else threshold.confidence
    return np.asarray(probabilities.max(axis=1) >= least)


def _cross_fitted(
    measured: Predicted, before: float
) -> tuple[Probabilities, npt.NDArray[np.bool_]]:
    after = np.array(measured.probabilities, np.float64)
    above = np.zeros(len(after), bool)
    # Photos are sorted by class, so every other photo gives halves with the same classes.
    evens = np.arange(len(after)) % 2 == 0
    for one in (evens, ~evens):
        if one.any() and (~one).any():
            temperature, threshold = _fitted(
                measured.probabilities[~one], measured.truth[~one], before
            )
            after[one] = metrics.tempered(measured.probabilities[one], temperature)
            above[one] = _above(after[one], threshold)
    return after, above
