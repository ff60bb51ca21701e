"""The space of a search for hyperparameters and its result, for local searches and tuning jobs.

It imports no torch: a machine without torch starts tuning jobs and reads their results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from training.errors import TrainingError
from training.settings import declared_settings

if TYPE_CHECKING:
    import optuna

# Of a tuning job: SageMaker reads it from each trial's log.
OBJECTIVE = "valid_top1"
LOW_HIGH = "Give the lower value first, above zero."

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """The search space; by default the original course project's, which tuning jobs search.

    Attributes:
        lr: learning rates of the head, searched on a logarithmic scale.
        weight_decay: logarithmic; None: not searched, as every field below.
        unfreeze: which parts of the backbone to try; each trial of one takes minutes.
        finetune_lr: logarithmic.

    Raises:
        TrainingError: a range is empty or not positive.
    """

    lr: Range = (0.001, 0.1)
    batch_sizes: tuple[int, ...] = (16, 32, 64)
    epochs: tuple[int, int] = (2, 6)
    weight_decay: Range | None = None
    label_smoothing: Range | None = None
    unfreeze: tuple[str, ...] = ()
    finetune_lr: Range | None = None

    def __post_init__(self) -> None:
        for name in ("lr", "weight_decay", "finetune_lr"):
            values = getattr(self, name)
            if values is not None and not 0 < values[0] <= values[1]:
                text = name.replace("_", "-")
                raise TrainingError(f"--{text} from {values[0]} to {values[1]}.", LOW_HIGH)
        if not 1 <= self.epochs[0] <= self.epochs[1]:
            raise TrainingError(f"Epochs from {self.epochs[0]} to {self.epochs[1]}.", LOW_HIGH)
        if not self.batch_sizes or min(self.batch_sizes) < 1:
            raise TrainingError(f"Batch sizes {self.batch_sizes}.", "Give sizes of 1 or more.")
        smoothing = self.label_smoothing
        if smoothing is not None and not 0 <= smoothing[0] <= smoothing[1] < 1:
            raise TrainingError(
                f"Label smoothing from {smoothing[0]} to {smoothing[1]}.",
                "Give the lower value first, at least 0 and below 1.",
            )

    @property
    def searched(self) -> dict[str, Range | tuple[int, int] | tuple[Any, ...]]:
        """The range or the choices of each hyperparameter, by the names of `TrainSettings`."""
        every = {
            "lr": self.lr,
            "batch_size": self.batch_sizes,
            "epochs": self.epochs,
            "weight_decay": self.weight_decay,
            "label_smoothing": self.label_smoothing,
            "unfreeze": self.unfreeze,
            "finetune_lr": self.finetune_lr,
        }
        return {name: values for name, values in every.items() if values}

    def to_json(self) -> dict[str, Any]:
        """The searched hyperparameters, by the names of this class."""
        return {name: values for name, values in asdict(self).items() if values}

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Asks Optuna for the next hyperparameters, by the names of `TrainSettings`."""
        chosen: dict[str, Any] = {}
        for name, values in self.searched.items():
            if name in CHOICES:
                chosen[name] = trial.suggest_categorical(name, list(values))
            elif name == "epochs":
                chosen[name] = trial.suggest_int(name, *self.epochs)
            else:
                chosen[name] = trial.suggest_float(name, *values, log=name in LOGARITHMIC)
        return chosen

    def holds(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Whether a trial could propose these."""
        return all(
            hyperparameters[name] in values
            if name in CHOICES
            else values[0] <= hyperparameters[name] <= values[1]
            for name, values in self.searched.items()
        )


CHOICES = frozenset({"batch_size", "unfreeze"})
LOGARITHMIC = frozenset({"lr", "weight_decay", "finetune_lr"})
# The space of `imagedrop tune`: it contains the defaults of a training.
AROUND_DEFAULTS = SearchSpace(
    lr=(0.001, 0.1),
    batch_sizes=(16, 32, 64),
    epochs=(10, 40),
    weight_decay=(0.001, 1.0),
)
FINETUNE_LR: Range = (1e-5, 1e-3)


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One training of the search; ``value`` is None if it failed before its first result."""

    number: int
    hyperparameters: dict[str, Any]
    value: float | None
    status: str  # complete, pruned, failed
    seconds: float
    intermediate: tuple[float, ...]  # the objective after each epoch or fold


@dataclass(frozen=True, slots=True)
class Verdict:
    """The best trial against the defaults, on photos that the search did not see.

    Attributes:
        winner: the hyperparameters of the best trial.
        is_better: whether they are worth using; otherwise `Tuning.best` are the defaults.
        photos: how many the search did not see; 0 where there were none to spare.
        difference: mean of the winner's loss minus the defaults' on the same photos, in nats.
        interval: 95 %, of that difference.
        search_difference: the same on the photos of the search, out of fold; too good, because
            the winner was chosen by it.
    """

    winner: dict[str, Any]
    winner_is_defaults: bool
    is_better: bool
    photos: int
    winner_loss: float
    defaults_loss: float
    winner_top1: float
    defaults_top1: float
    difference: float
    interval: tuple[float, float]
    search_difference: float
    search_interval: tuple[float, float]

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.winner_is_defaults:
            return (
                "Not better than the defaults: they are the best trial. On "
                f"{self.photos} photos that the search did not see their log loss is "
                f"{self.defaults_loss:.4f} and their top-1 {self.defaults_top1:.4f}."
            )
        if self.photos == 0:
            return "No photos were left to judge the best trial on: the defaults are kept."
        low, high = self.interval
        figures = (
            f"on {self.photos} photos that the search did not see its log loss is "
            f"{self.winner_loss:.4f}, the defaults' {self.defaults_loss:.4f} (difference "
            f"{self.difference:+.4f}, 95 %: {low:+.4f} to {high:+.4f}), its top-1 "
            f"{self.winner_top1:.4f}, theirs {self.defaults_top1:.4f}"
        )
        if not self.is_better:
            return f"Not better than the defaults, which are kept: {figures}."
        if high >= 0:
            return f"Better than the defaults, though not beyond chance: {figures}."
        return f"Better than the defaults: {figures}."


@dataclass(frozen=True, slots=True)
class Tuning:
    """The result of a local search or a tuning job: the content of ``tuning.json``."""

    best: dict[str, Any]
    """The recommended hyperparameters: the best trial's, or the defaults if it is not better."""
    value: float
    """The objective of `best`."""
    objective: str
    strategy: str
    space: dict[str, Any]
    trials: tuple[TrialResult, ...]
    lower_is_better: bool = False
    backbone: str = ""
    """Empty in files of earlier versions. Hyperparameters of one do not suit another."""
    data_manifest_sha256: str = ""
    """Of the data; empty for a tuning job, and in files of earlier versions."""
    ties: tuple[int, ...] = ()
    """Numbers of the trials that chance alone may tell from the best one; without it."""
    verdict: Verdict | None = None
    """None for a tuning job: it judges nothing on unseen photos."""
    out_of_reach: tuple[str, ...] = ()
    """The limits of this search, in sentences."""
    is_complete: bool = True
    """Whether no photo can be among what was left out of the data."""

    @property
    def space_names(self) -> tuple[str, ...]:
        """The hyperparameters that were searched, by the names of `TrainSettings`."""
        return tuple(self.best)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes beside the best trial: verdict, ties, limits."""
        found = [] if self.verdict is None else [self.verdict.sentence]
        if self.ties:
            numbers = ", ".join(str(number + 1) for number in self.ties)
            found.append(f"Chance alone may tell the best trial from: {numbers}.")
        return (*found, *self.out_of_reach)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def out_of_reach(space: SearchSpace) -> tuple[str, ...]:
    """Defaults of a training that a tuning job over this space cannot find."""
    found = []
    for name, values in space.searched.items():
        default = declared_settings()[name].default
        if name in CHOICES:
            if default not in values:
                found.append(f"The default {_words(name)}, {default}, is not among the choices.")
        elif not values[0] <= default <= values[1]:
            found.append(
                f"The default {_words(name)}, {default:g}, is outside {values[0]:g} to "
                f"{values[1]:g}: a training with the defaults may be better than every trial."
            )
    others = ("weight_decay", "label_smoothing", "unfreeze", "finetune_lr")
    fixed = [_words(name) for name in others if name not in space.searched]
    if fixed:
        found.append(f"Not searched: {', '.join(fixed)}.")
    found.append(
        "Each trial is measured by the top-1 of its best epoch on one split: the figure is too "
        "good, and trials tie on few photos. `imagedrop tune` compares out of fold and judges "
        "the best on unseen photos."
    )
    return tuple(found)


def _words(name: str) -> str:
    return "learning rate" if name == "lr" else name.replace("_", " ")
