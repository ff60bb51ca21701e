"""``tuning.html``: how a search went, for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean, pvariance

from training.reports.page import Section, bar_chart, line_chart, page, scatter_chart, table, text
from training.search import TrialResult, Tuning

# What a person reads of a name in the search.
TITLES = {"lr": "learning rate", "batch_size": "batch size", "epochs": "epochs"}


def tuning_page(tuning: Tuning) -> str:
    best = ", ".join(f"{TITLES.get(name, name)} {_short(v)}" for name, v in tuning.best.items())
    finished = [each for each in tuning.trials if each.value is not None]
    return page(
        "Tuning",
        [
            Section(
                "The best",
                text(
                    f"{best}: {tuning.objective} {tuning.value:.4f}, by {tuning.strategy}, over "
                    f"{len(tuning.trials)} trials."
                ),
            ),
            Section("History", _history(tuning)),
            Section(
                "Each hyperparameter",
                "".join(_against(finished, name) for name in tuning.space_names),
            ),
            Section(
                "Importance",
                text(
                    "The share of the spread of the objective that goes with each "
                    "hyperparameter alone: between groups of its values, over all of it."
                )
                + bar_chart(list(importance(finished, tuning.space_names).items())),
            ),
            Section("Parallel coordinates", _parallel(finished, tuning.space_names)),
            Section("Trials", _trials(tuning)),
        ],
    )


def importance(trials: list[TrialResult], names: tuple[str, ...]) -> dict[str, float]:
    """Correlation ratio η² (Fisher): variance between groups over the variance of all, 0..1.

    Groups are a choice's values, or quarters of the trials by a number's order.
    """
    values = [each.value for each in trials if each.value is not None]
    spread = pvariance(values) if len(values) > 1 else 0.0
    return {
        TITLES.get(name, name): _between(trials, name) / spread if spread else 0.0 for name in names
    }


def _between(trials: list[TrialResult], name: str) -> float:
    ordered = sorted(trials, key=lambda each: float(each.hyperparameters[name]))
    distinct = {each.hyperparameters[name] for each in trials}
    groups: dict[object, list[float]] = {}
    for place, each in enumerate(ordered):
        key = each.hyperparameters[name] if len(distinct) <= 6 else place * 4 // len(ordered)
        groups.setdefault(key, []).append(each.value or 0.0)
    mean = fmean(value for group in groups.values() for value in group)
    return sum(len(group) * (fmean(group) - mean) ** 2 for group in groups.values()) / len(trials)


def _history(tuning: Tuning) -> str:
    values = [(float(each.number + 1), each.value) for each in tuning.trials if each.value]
    best: list[tuple[float, float]] = []
    for number, value in values:
        best.append((number, max(value, best[-1][1] if best else value)))
    return line_chart({"each trial": values, "the best so far": best}, "trial", tuning.objective)


def _against(trials: list[TrialResult], name: str) -> str:
    points = [
        (_axis(name, each.hyperparameters), each.value or 0.0, f"trial {each.number + 1}")
        for each in trials
    ]
    label = f"{TITLES.get(name, name)}{' (power of ten)' if name == 'lr' else ''}"
    return scatter_chart(points, label, "objective")


def _axis(name: str, hyperparameters: Mapping[str, float]) -> float:
    value = float(hyperparameters[name])
    return math.log10(value) if name == "lr" else value


def _parallel(trials: list[TrialResult], names: tuple[str, ...]) -> str:
    """The ten best: each line a trial, each place on the x axis a hyperparameter, 0 to 1."""
    ranges = {
        name: (
            min(_axis(name, each.hyperparameters) for each in trials),
            max(_axis(name, each.hyperparameters) for each in trials),
        )
        for name in names
    }
    best = sorted(trials, key=lambda each: -(each.value or 0.0))[:6]
    lines = {
        f"{each.value:.3f} (trial {each.number + 1})": [
            (float(place), _within(_axis(name, each.hyperparameters), *ranges[name]))
            for place, name in enumerate(names)
        ]
        for each in best
    }
    return line_chart(lines, " · ".join(TITLES.get(name, name) for name in names), "low to high")


def _within(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _trials(tuning: Tuning) -> str:
    head = ["trial", *(TITLES.get(name, name) for name in tuning.space_names)]
    return table(
        [*head, tuning.objective, "status", "seconds"],
        (
            [
                each.number + 1,
                *(_short(each.hyperparameters[name]) for name in tuning.space_names),
                each.value,
                each.status,
                round(each.seconds, 2),
            ]
            for each in tuning.trials
        ),
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
