"""Everything a training is told: options of the command line, hyperparameters of SageMaker.

One declaration for all of them: a field `batch_size` is the option `--batch-size` of
`python -m training.train` and of `imagedrop train`, and the hyperparameter `batch-size` of a job.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from training.errors import TrainingError

Backbone = Literal["resnet50", "efficientnet_lite0"]
Unfreeze = Literal["none", "layer4", "all"]

# How a job of SageMaker names the folders of a data set that comes in parts; each is one channel.
SPLIT_CHANNELS = ("train", "valid", "validation", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """What one training is told; the text beside a type is the option's help.

    Raises:
        TrainingError: two of them contradict each other, or one is out of its range.
    """

    data: Annotated[Path, "class/IMAGE, or train|valid|test/class/IMAGE."]
    model_dir: Annotated[Path, "Where the servable model goes."] = Path("model-output")
    output_dir: Annotated[Path, "Where metrics and records go."] = Path("training-output")
    checkpoint_dir: Annotated[
        Path | None, "Where an interrupted training leaves what the next one continues from."
    ] = None
    feature_cache: Annotated[
        Path | None, "Where features are kept between trainings; ~/.cache/imagedrop by default."
    ] = None
    name: Annotated[str, "The model's name."] = "my-model"
    version: Annotated[str, "The model's version."] = "1"
    backbone: Annotated[Backbone, "What the head stands on."] = "resnet50"
    weights: Annotated[
        str,
        "imagenet (torchvision's resnet50, downloaded), package (efficientnet_lite0), random, or "
        "a file; by default what fits the backbone.",
    ] = ""
    epochs: Annotated[int, "Epochs of the head, on the frozen backbone's features."] = 20
    batch_size: Annotated[int, "Images a step."] = 32
    lr: Annotated[float, "Learning rate of the head, at its first step."] = 0.01
    weight_decay: Annotated[float, "Weight decay of AdamW, in both phases."] = 0.01
    label_smoothing: Annotated[float, "Label smoothing, 0 up to 1."] = 0.0
    class_weights: Annotated[bool, "Weigh rare classes as much as common ones."] = False
    patience: Annotated[
        int, "End a phase after so many epochs without a lower validation loss; 0 = never."
    ] = 0
    unfreeze: Annotated[Unfreeze, "What of the backbone is trained after the head."] = "none"
    finetune_epochs: Annotated[int, "Epochs of head and unfrozen backbone together."] = 5
    finetune_lr: Annotated[float, "The head's learning rate there; deeper stages have less."] = 1e-4
    folds: Annotated[
        int, "Cross-validate over so many folds, then train on everything; 0 = do not."
    ] = 0
    seed: Annotated[int, "Of the split, the first head, the order of images, dropout."] = 1
    deterministic: Annotated[bool, "Only deterministic algorithms of torch."] = False
    amp: Annotated[bool, "bfloat16 where this machine computes it in hardware."] = False
    monitor_interval: Annotated[int, "Look at gradients every so many steps; 0 = never."] = 0
    profile: Annotated[bool, "Record a profile of some steps."] = False

    def __post_init__(self) -> None:
        for problem, next_step in _problems(self):
            raise TrainingError(problem, next_step)
        if not self.weights:
            default = "imagenet" if self.backbone == "resnet50" else "package"
            object.__setattr__(self, "weights", default)

    @classmethod
    def from_arguments(
        cls, arguments: Sequence[str], environment: Mapping[str, str] = os.environ
    ) -> TrainSettings:
        """Reads the command line, and what a SageMaker job says by its `SM_*` variables.

        Raises:
            SystemExit: argparse's, for an unknown option or a value that cannot be read.
            TrainingError: no data, or settings that contradict each other.
        """
        given = {
            name: value
            for name, value in vars(_parser().parse_args(arguments)).items()
            if value is not None
        }
        values = job_defaults(environment) | given
        if "data" not in values:
            raise TrainingError("There is no data to train on.", "Give a folder with --data.")
        return cls(**values)

    def to_json(self) -> dict[str, object]:
        """Every setting; paths as texts."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
        }


def explanations() -> dict[str, str]:
    """The help of every option, by its field's name; for other command lines too."""
    return {name: hint.__metadata__[0] for name, hint in _hints().items()}


def _hints() -> dict[str, Any]:
    return get_type_hints(TrainSettings, include_extras=True)


def job_defaults(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a SageMaker training job has in its variables and folders; else nothing.

    Data are the channel `training`, or the channels `train`, `valid` and `test`, which lie side by
    side. Weights are the one file of the channel `weights`.
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
    if "SM_CHANNEL_WEIGHTS" in environment:
        values["weights"] = str(_only_file(Path(environment["SM_CHANNEL_WEIGHTS"])))
    return values


def _only_file(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file())
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
    for name, hint in _hints().items():
        flag, text = f"--{name.replace('_', '-')}", hint.__metadata__[0]
        kind = hint.__origin__
        if kind is bool:
            parser.add_argument(flag, type=_flag, nargs="?", const=True, help=text)
        elif get_origin(kind) is Literal:
            parser.add_argument(flag, choices=get_args(kind), help=text)
        else:
            parser.add_argument(flag, type=Path if kind == Path | None else kind, help=text)
    return parser


def _flag(text: str) -> bool:
    """`--amp`, `--amp true`, and a hyperparameter's `--amp True`."""
    match text.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise argparse.ArgumentTypeError(f"must be true or false, is {text!r}")


def _problems(settings: TrainSettings) -> list[tuple[str, str]]:
    """What cannot be, and what to do about it."""
    checks = [
        (settings.epochs >= 1, "--epochs must be at least 1."),
        (settings.batch_size >= 1, "--batch-size must be at least 1."),
        (settings.lr > 0, "--lr must be above zero."),
        (settings.finetune_lr > 0, "--finetune-lr must be above zero."),
        (settings.finetune_epochs >= 1, "--finetune-epochs must be at least 1."),
        (settings.weight_decay >= 0, "--weight-decay must not be negative."),
        (0 <= settings.label_smoothing < 1, "--label-smoothing must be 0 up to 1."),
        (settings.patience >= 0, "--patience must not be negative."),
        (settings.folds == 0 or settings.folds >= 2, "--folds must be at least 2."),
        (
            not (settings.folds and settings.patience),
            "--folds ends with a training on everything, where --patience has no validation loss.",
        ),
        (
            settings.weights != "package" or settings.backbone == "efficientnet_lite0",
            "--weights package are those of --backbone efficientnet_lite0.",
        ),
        (
            settings.weights != "imagenet" or settings.backbone == "resnet50",
            "--weights imagenet are those of --backbone resnet50.",
        ),
        (bool(settings.name) and "@" not in settings.name, "--name must be a text without @."),
        (bool(settings.version) and "@" not in settings.version, "--version has no @ in it."),
    ]
    return [(problem, "See --help.") for holds, problem in checks if not holds]
