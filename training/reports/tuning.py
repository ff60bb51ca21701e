"""`tuning.html`: how a search for hyperparameters went."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from statistics import fmean, pvariance
from typing import get_args

from markupsafe import Markup

from training.reports.axes import Axis
from training.reports.charts import Series, parallel_chart, xy_chart
from training.reports.numbers import percent, short
from training.reports.page import TEMPLATES, render
from training.settings import Unfreeze
from training.tuning.search import LOGARITHMIC, TrialResult, Tuning

# The names of hyperparameters on the page.
TITLES = {
    "lr": "learning rate",
    "batch_size": "batch size",
    "epochs": "epochs",
    "weight_decay": "weight decay",
    "label_smoothing": "label smoothing",
    "unfreeze": "unfrozen parts",
    "finetune_lr": "fine-tuning rate",
}
WHOLE = frozenset({"batch_size", "epochs", "unfreeze"})
PARALLEL_TRIALS = 6
PARTS = get_args(Unfreeze)


def write_tuning(tuning: Tuning, folder: Path) -> Path:
    """Writes `tuning.json` and `tuning.html`; returns the path of the former."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tuning.json"
    file.write_text(json.dumps(tuning.to_json(), indent=1) + "\n", encoding="utf-8")
    (folder / "tuning.html").write_text(tuning_page(tuning), encoding="utf-8")
    return file


def tuning_page(tuning: Tuning) -> str:
    """The whole file."""
    finished = [each for each in tuning.trials if each.value is not None]
    names = tuning.space_names
    return render(
        TEMPLATES / "tuning.html",
        tuning=tuning,
        titles=[TITLES.get(name, name) for name in names],
        history=_history(tuning),
        against=[_against(tuning, finished, name) for name in names],
        importance=list(importance(finished, names).items()),
        percent=percent,
        parallel=_parallel(tuning, finished),
        trials=[(each, [short(each.hyperparameters[n]) for n in names]) for each in tuning.trials],
        best=[short(tuning.best[n]) for n in names],
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
    ordered = sorted(trials, key=lambda each: number_of(each.hyperparameters[name]))
    distinct = {each.hyperparameters[name] for each in trials}
    groups: dict[object, list[float]] = {}
    for place, each in enumerate(ordered):
        key = each.hyperparameters[name] if len(distinct) <= 6 else place * 4 // len(ordered)
        groups.setdefault(key, []).append(each.value or 0.0)
    mean = fmean(value for group in groups.values() for value in group)
    return sum(len(group) * (fmean(group) - mean) ** 2 for group in groups.values()) / len(trials)


def _history(tuning: Tuning) -> Markup:
    values = [(each.number + 1, each.value) for each in tuning.trials if each.value is not None]
    better = min if tuning.lower_is_better else max
    best = zip((n for n, _ in values), accumulate((v for _, v in values), better), strict=True)
    return xy_chart(
        [
            Series("each trial", values, is_joined=False),
            Series("the best so far", list(best), has_dots=False),
        ],
        Axis("trial", is_whole=True),
        Axis(tuning.objective),
    )


def _against(tuning: Tuning, trials: list[TrialResult], name: str) -> Markup:
    points = [(_place(name, each.hyperparameters), each.value or 0.0) for each in trials]
    titles = [
        f"trial {each.number + 1}: {TITLES.get(name, name)} {short(each.hyperparameters[name])}, "
        f"{tuning.objective} {each.value:.4f}"
        for each in trials
    ]
    dots = Series("trials", points, titles, is_joined=False)
    return xy_chart([dots], _axis(name), Axis(tuning.objective))


def _axis(name: str) -> Axis:
    return Axis(TITLES.get(name, name), is_log=name in LOGARITHMIC, is_whole=name in WHOLE)


def _place(name: str, hyperparameters: Mapping[str, object]) -> float:
    value = number_of(hyperparameters[name])
    return math.log10(value) if name in LOGARITHMIC else value


def number_of(value: object) -> float:
    """A number for an axis; the parts of the backbone by how much of it they are."""
    return float(PARTS.index(value)) if isinstance(value, str) else float(str(value))


def _parallel(tuning: Tuning, trials: list[TrialResult]) -> Markup:
    """The best trials: an axis for each hyperparameter and one for the objective."""
    names = tuning.space_names
    sign = 1 if tuning.lower_is_better else -1
    best = sorted(trials, key=lambda each: sign * (each.value or 0.0))[:PARALLEL_TRIALS]
    lines = [
        (
            f"{each.value:.3f} (trial {each.number + 1})",
            [*(_place(name, each.hyperparameters) for name in names), each.value or 0.0],
        )
        for each in best
    ]
    return parallel_chart([*map(_axis, names), Axis(tuning.objective)], lines)
