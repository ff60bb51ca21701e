"""Temperature and review threshold: fitted on validation photos, judged on the measured ones.

Neither is ever fitted on photos that the model was trained on: it is surer of those than of others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archive.card import ModelCard
from training.evaluation.measure import Classes, Predicted, Probabilities
from training.statistics import metrics

REVIEW_TARGET = 0.95
# Each is judged by a fit on others.
FEWEST_MEASURED = 2


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature and a review threshold, and their effect on the measured photos.

    Attributes:
        temperature: in addition to the one that the model's graph may have already.
        fitted_on: the photos that both were fitted on, in words; None where there are none that
            the model did not learn from. Then the temperature is 1, and there is no threshold.
        threshold: for review, of the confidences with that temperature; with the accuracy and
            coverage of the photos that it was chosen on.
        coverage: the share of the measured photos above the threshold.
        accuracy: the share of those that is right; None where none is above.
    """

    temperature: float
    fitted_on: str | None
    ece_before: float
    ece_after: float
    threshold: metrics.Threshold | None
    coverage: float
    accuracy: float | None


def calibrate(
    measured: Predicted,
    validation: Predicted | None,
    before: float = 1.0,
    learned: npt.NDArray[np.bool_] | None = None,
) -> Calibration:
    """Fits temperature and review threshold on validation photos; judges them on the measured ones.

    Without validation photos they are fitted on the measured ones that the model did not learn
    from, and each half of those is judged by a fit on the other half, so that no photo is judged by
    a fit on itself. With fewer than FEWEST_MEASURED of them nothing is fitted.

    Args:
        validation: photos that the model did not learn from.
        before: the temperature that the model's graph has already.
        learned: bool [measured], which of them the model learned from; None for none.
    """
    new = np.ones(len(measured.truth), bool) if learned is None else ~learned
    temperature, threshold, fitted_on = 1.0, None, None
    after, above = measured.probabilities, np.zeros(len(new), bool)
    if validation is not None:
        temperature, threshold = _fitted(validation.probabilities, validation.truth, before)
        after = metrics.tempered(measured.probabilities, temperature)
        above = _above(after, threshold)
        fitted_on = f"{len(validation.truth)} validation photos"
    elif new.sum() >= FEWEST_MEASURED:
        temperature, threshold = _fitted(measured.probabilities[new], measured.truth[new], before)
        after, above = _cross_fitted(measured, before, new, temperature, threshold)
        fitted_on = f"{_these(new)}; cross-fitted by halves"
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


def _these(new: npt.NDArray[np.bool_]) -> str:
    if new.all():
        return f"the {len(new)} measured photos"
    return f"the {new.sum()} of {len(new)} measured photos that the model did not learn from"


def _cross_fitted(
    measured: Predicted,
    before: float,
    new: npt.NDArray[np.bool_],
    temperature: float,
    threshold: metrics.Threshold | None,
) -> tuple[Probabilities, npt.NDArray[np.bool_]]:
    """The fit on all new photos is for those that the model learned from, which are in no half."""
    after = metrics.tempered(measured.probabilities, temperature)
    above = _above(after, threshold)
    # Photos are sorted by class, so every other photo gives halves with the same classes.
    evens = new & (np.cumsum(new) % 2 == 1)
    odds = new & ~evens
    for one, other in ((evens, odds), (odds, evens)):
        temperature, threshold = _fitted(
            measured.probabilities[other], measured.truth[other], before
        )
        after[one] = metrics.tempered(measured.probabilities[one], temperature)
        above[one] = _above(after[one], threshold)
    return after, above
