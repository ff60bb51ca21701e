"""Every setting of a training: options of the command line, hyperparameters of SageMaker.

`TrainSettings` is the one declaration: its field `batch_size` is the option `--batch-size` of
`python -m training.train` and of `imagedrop train`, and the hyperparameter `batch-size` of a job.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from training.errors import TrainingError

Unfreeze = Literal["none", "layer4", "all"]
AugmentFrom = Literal["prepared", "photo"]

# The one backbone that is this project's own, with weights from a package.
LITE0 = "efficientnet_lite0"
TIMM_PREFIX = "timm/"
# Both words for what torchvision or timm download.
DOWNLOADED = ("imagenet", "hub")

# The channels of a SageMaker job whose data set is already split.
SPLIT_CHANNELS = ("train", "valid", "validation", "val", "test")

# The preparation for timm's weights, beside them in their repository on the hub.
HUB_CONFIGURATION = "config.json"

# Stands for a new folder of each run, which `run_folders` makes.
RUN_FOLDER = Path("runs/NAME-TIME")
RUN_MODEL_FOLDER = RUN_FOLDER / "model"

# The settings that name places and do not affect the model.
FOLDERS = ("data", "model_dir", "output_dir", "checkpoint_dir", "feature_cache", "tensorboard")

# Of the features in a job's checkpoints.
FEATURES_FOLDER = "features"


class Limit(NamedTuple):
    """The values that a setting may have."""

    text: str
    """Completes "--epochs …"."""
    holds: Callable[[Any], bool]


AT_LEAST_ONE = Limit("must be at least 1", lambda value: value >= 1)
POSITIVE = Limit("must be above zero", lambda value: value > 0)
NOT_NEGATIVE = Limit("must not be negative", lambda value: value >= 0)
BELOW_ONE = Limit("must be at least 0 and below 1", lambda value: 0 <= value < 1)
NONE_OR_TWO = Limit("must be 0, or at least 2", lambda value: value == 0 or value >= 2)
# `NAME@VERSION` identifies a model.
WITHOUT_AT = Limit("must be a text without @", lambda value: bool(value) and "@" not in value)


class Setting(NamedTuple):
    """The declaration of one field of `TrainSettings`."""

    type: Any
    default: Any
    """`dataclasses.MISSING` for a setting that must be given."""
    help: str
    limit: Limit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """The settings of one training; beside each type its help and, where it has one, its limit.

    Raises:
        TrainingError: a setting is outside its limit, or two contradict each other.
    """

    data: Annotated[Path, "class/IMAGE, or train|valid|test/class/IMAGE."]
    model_dir: Annotated[Path, "Where the servable model is written."] = RUN_MODEL_FOLDER
    output_dir: Annotated[Path, "Where metrics and records are written."] = RUN_FOLDER
    checkpoint_dir: Annotated[
        Path | None, "Where checkpoints are kept; an interrupted training resumes from there."
    ] = None
    feature_cache: Annotated[
        Path | None, "Where features are kept between trainings; ~/.cache/imagedrop by default."
    ] = None
    name: Annotated[str, "The model's name.", WITHOUT_AT] = "my-model"
    version: Annotated[str, "The model's version.", WITHOUT_AT] = "1"
    backbone: Annotated[
        str,
        "The pretrained network below the head: efficientnet_lite0, a name of torchvision's, such "
        "as convnext_tiny, or timm/NAME.",
    ] = "resnet50"
    weights: Annotated[
        str,
        "hub or imagenet (torchvision or timm download them), package (efficientnet_lite0), "
        "random, the name of torchvision's weights, such as IMAGENET1K_V1, or a file, .pth or "
        ".safetensors; by default the backbone's pretrained weights.",
    ] = ""
    epochs: Annotated[
        int, "Epochs of the head, on the frozen backbone's features.", AT_LEAST_ONE
    ] = 20
    batch_size: Annotated[int, "Images per step.", AT_LEAST_ONE] = 32
    lr: Annotated[float, "Learning rate of the head, at its first step.", POSITIVE] = 0.01
    weight_decay: Annotated[float, "Weight decay of AdamW, in both phases.", NOT_NEGATIVE] = 0.01
    label_smoothing: Annotated[float, "Label smoothing, 0 up to 1.", BELOW_ONE] = 0.0
    class_weights: Annotated[bool, "Weight classes inversely to their number of images."] = False
    patience: Annotated[
        int,
        "End a phase after this many epochs without a lower validation loss; 0 = never.",
        NOT_NEGATIVE,
    ] = 0
    unfreeze: Annotated[Unfreeze, "The part of the backbone to train after the head."] = "none"
    finetune_epochs: Annotated[
        int, "Epochs of head and unfrozen backbone together.", AT_LEAST_ONE
    ] = 5
    finetune_lr: Annotated[
        float, "Learning rate of the head while fine-tuning; deeper stages have less.", POSITIVE
    ] = 1e-4
    augment_from: Annotated[
        AugmentFrom,
        "Where fine-tuning cuts random squares: from the prepared pixels, or from the whole "
        "photo, which is decoded once at a larger size and kept.",
    ] = "prepared"
    folds: Annotated[
        int, "Cross-validate over this many folds, then train on everything; 0 = no.", NONE_OR_TWO
    ] = 0
    seeds: Annotated[
        int,
        "Repeat the cross-validation with this many seeds, to see the influence of chance.",
        AT_LEAST_ONE,
    ] = 1
    seed: Annotated[int, "Seed of the split, the new head, the order of images, and dropout."] = 1
    deterministic: Annotated[bool, "Use only torch's deterministic algorithms."] = False
    amp: Annotated[bool, "Use bfloat16 if the machine computes it in hardware."] = False
    monitor_interval: Annotated[int, "Record gradients every this many steps; 0 = never."] = 0
    profile: Annotated[bool, "Record a profile of some steps."] = False
    tensorboard: Annotated[
        Path | None, "Write curves for TensorBoard into a folder of the run in this one."
    ] = None
    features_only: Annotated[
        bool, "Compute the features of every photo and keep them; train nothing."
    ] = False

    def __post_init__(self) -> None:
        # Of `--data=~/photos` the shell leaves the tilde as it is.
        for each in fields(self):
            if isinstance(path := getattr(self, each.name), Path):
                object.__setattr__(self, each.name, Path(os.path.expanduser(path)))
        object.__setattr__(self, "backbone", self.backbone.replace("timm:", TIMM_PREFIX, 1))
        for problem in _problems(self):
            raise TrainingError(problem, "See --help.")
        if not self.weights:
            object.__setattr__(self, "weights", default_weights(self.backbone))

    @classmethod
    def from_arguments(
        cls, arguments: Sequence[str], environment: Mapping[str, str] = os.environ
    ) -> TrainSettings:
        """Reads the command line and the `SM_*` variables of a SageMaker job.

        Raises:
            SystemExit: argparse's, for an unknown option or a value that cannot be parsed.
            TrainingError: there is no data, or the settings are invalid.
        """
        given = {
            name: value
            for name, value in vars(_parser().parse_args(arguments)).items()
            if value is not None
        }
        values = job_defaults(environment) | given
        if values.get("features_only") and "checkpoint_dir" in values:
            # SageMaker copies this folder to S3, where a search's channel `features` reads it.
            values.setdefault("feature_cache", values["checkpoint_dir"] / FEATURES_FOLDER)
        if "data" not in values:
            raise TrainingError("There is no data to train on.", "Give a folder with --data.")
        return cls(**values)

    def to_json(self) -> dict[str, object]:
        """Every setting, by name; paths as strings."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
        }


def default_weights(backbone: str) -> str:
    """The pretrained weights of a backbone."""
    if backbone == LITE0:
        return "package"
    return "hub" if backbone.startswith(TIMM_PREFIX) else "imagenet"


@cache
def declared_settings() -> dict[str, Setting]:
    """The declaration of every setting, by name; all command lines are generated from it."""
    hints = get_type_hints(TrainSettings, include_extras=True)
    return {each.name: _setting(hints[each.name], each.default) for each in fields(TrainSettings)}


def _setting(hint: Any, default: Any) -> Setting:
    text, *limits = hint.__metadata__
    return Setting(hint.__origin__, default, text, limits[0] if limits else None)


def job_defaults(environment: Mapping[str, str]) -> dict[str, Any]:
    """Reads the settings that a SageMaker training job passes in variables; {} elsewhere.

    The data are the channel `training`, or the folder above the channels `train`, `valid` and
    `test`. The weights are the only file of the channel `weights`, beside the hub's `config.json`
    where there is one; the channel `features` holds what a job with `features-only` kept.

    Raises:
        TrainingError: the channel `weights` does not hold exactly one file.
    """
    values: dict[str, Any] = {}
    if "SM_CHANNEL_TRAINING" in environment:
        values["data"] = Path(environment["SM_CHANNEL_TRAINING"])
    for channel in SPLIT_CHANNELS:
        folder = environment.get(f"SM_CHANNEL_{channel.upper()}")
        if folder is not None and "data" not in values:
            values["data"] = Path(folder).parent
    for variable, name in (("SM_MODEL_DIR", "model_dir"), ("SM_OUTPUT_DATA_DIR", "output_dir")):
        if variable in environment:
            values[name] = Path(environment[variable])
    if "SM_MODEL_DIR" in environment:
        # /opt/ml/model and /opt/ml/checkpoints: SageMaker has no variable for the latter.
        values["checkpoint_dir"] = Path(environment["SM_MODEL_DIR"]).parent / "checkpoints"
    if "SM_CHANNEL_FEATURES" in environment:
        values["feature_cache"] = Path(environment["SM_CHANNEL_FEATURES"])
    if "SM_CHANNEL_WEIGHTS" in environment:
        values["weights"] = str(_only_file(Path(environment["SM_CHANNEL_WEIGHTS"])))
    return values


def _only_file(folder: Path) -> Path:
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and path.name != HUB_CONFIGURATION
    )
    if len(files) != 1:
        raise TrainingError(
            f"The channel weights holds {len(files)} files.", "Give it exactly one state dict."
        )
    return files[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description="Train a classifier on a folder of photos; writes a model that can be served.",
    )
    for name, setting in declared_settings().items():
        kind = setting.type
        if kind is bool:
            how: dict[str, Any] = {"type": _flag, "nargs": "?", "const": True}
        elif get_origin(kind) is Literal:
            how = {"choices": get_args(kind)}
        else:
            how = {"type": Path if kind == Path | None else kind}
        parser.add_argument(_option_name(name), help=setting.help, **how)
    return parser


def _option_name(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def _flag(text: str) -> bool:
    """Parses `--amp`, `--amp true`, and `--amp True` as SageMaker's toolkit writes it."""
    match text.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise argparse.ArgumentTypeError(f"must be true or false, is {text!r}")


def _problems(settings: TrainSettings) -> list[str]:
    """Settings outside their limits, and pairs that contradict each other."""
    found = [
        f"{_option_name(name)} {setting.limit.text}."
        for name, setting in declared_settings().items()
        if setting.limit is not None and not setting.limit.holds(getattr(settings, name))
    ]
    if settings.folds and settings.patience:
        found.append(
            "--folds ends with a training on all images, which leaves --patience no validation "
            "loss to watch."
        )
    if settings.seeds > 1 and not settings.folds:
        found.append("--seeds repeats a cross-validation: give --folds too.")
    if settings.weights == "package" and settings.backbone != LITE0:
        found.append(f"--weights package only fits --backbone {LITE0}.")
    if settings.weights in DOWNLOADED and settings.backbone == LITE0:
        found.append(f"--weights {settings.weights} does not fit --backbone {LITE0}: use package.")
    return found
