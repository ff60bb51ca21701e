"""The cost of jobs, before and after. On demand; spot machines cost less."""

from __future__ import annotations

from imagedrop.estimates.prices import TRAINING_INSTANCE_HOURS


def dollars(instance_type: str, seconds: float) -> float | None:
    """Returns the price of a machine for this time; None if it is unknown."""
    price = TRAINING_INSTANCE_HOURS.get(instance_type)
    return None if price is None else price.dollars * seconds / 3600


def estimate(
    instance_type: str, max_runtime_seconds: int, trainings: int = 1, *, spot: bool = False
) -> str:
    """Returns the highest possible cost: every training as long as it may run."""
    most = dollars(instance_type, max_runtime_seconds * trainings)
    count = f"{trainings} trainings of " if trainings > 1 else ""
    basis = f"{count}{max_runtime_seconds / 3600:g} h on {instance_type}"
    if most is None:
        return f"At most {basis}; its price is not in imagedrop/estimates/prices.py."
    less = ", on spot machines less" if spot else ""
    return f"At most ${most:,.2f}: {basis}{less}."


def bill(instance_type: str, billed_seconds: int) -> str:
    """Returns the cost of the seconds that SageMaker bills."""
    paid = dollars(instance_type, billed_seconds)
    basis = f"{billed_seconds:,} s of {instance_type} billed"
    if paid is None:
        return f"{basis}; its price is not in imagedrop/estimates/prices.py."
    return f"{basis}: ${paid:,.4f}."
