"""Options, hyperparameters and SageMaker's variables set the same settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import TrainingError
from training.settings import TrainSettings, declared_settings, job_defaults

JOB = {
    "SM_CHANNEL_TRAINING": "/opt/ml/input/data/training",
    "SM_MODEL_DIR": "/opt/ml/model",
    "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
}


def settings(*arguments: str, **environment: str) -> TrainSettings:
    return TrainSettings.from_arguments(arguments, environment)


def test_hyperparameters_of_a_job_are_the_options_of_the_command_line() -> None:
    # As SageMaker's training toolkit passes them: every value a text, `True` for a flag.
    found = settings("--batch-size", "64", "--lr", "0.014", "--amp", "True", **JOB)

    assert (found.batch_size, found.lr, found.amp) == (64, 0.014, True)


def test_flag_needs_no_value_on_the_command_line() -> None:
    assert settings("--data", "d", "--class-weights").class_weights
    assert not settings("--data", "d", "--class-weights", "false").class_weights


def test_job_says_where_everything_lies() -> None:
    found = settings(**JOB)

    assert found.data == Path("/opt/ml/input/data/training")
    assert found.model_dir == Path("/opt/ml/model")
    assert found.output_dir == Path("/opt/ml/output/data")
    assert found.checkpoint_dir == Path("/opt/ml/checkpoints")


def test_channels_of_a_split_data_set_are_one_data_set() -> None:
    channels = {
        "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
        "SM_CHANNEL_VALID": "/opt/ml/input/data/valid",
    }

    assert job_defaults(channels)["data"] == Path("/opt/ml/input/data")


def test_weights_channel_gives_its_one_file(tmp_path: Path) -> None:
    (tmp_path / "resnet50.pth").touch()
    (tmp_path / "config.json").touch()  # says how they are prepared for

    found = settings(**JOB, SM_CHANNEL_WEIGHTS=str(tmp_path))

    assert found.weights == str(tmp_path / "resnet50.pth")


def test_weights_channel_with_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pth").touch()
    (tmp_path / "b.pth").touch()

    with pytest.raises(TrainingError, match="2 files"):
        settings(**JOB, SM_CHANNEL_WEIGHTS=str(tmp_path))


def test_option_goes_before_what_the_job_says() -> None:
    assert settings("--data", "mine", "--model-dir", "there", **JOB).model_dir == Path("there")


def test_without_data_the_next_step_is_told() -> None:
    with pytest.raises(TrainingError, match="--data"):
        settings()


@pytest.mark.parametrize(
    ("backbone", "weights"), [("resnet50", "imagenet"), ("efficientnet_lite0", "package")]
)
def test_weights_fit_the_backbone_by_default(backbone: str, weights: str) -> None:
    assert settings("--data", "d", "--backbone", backbone).weights == weights


@pytest.mark.parametrize(
    "arguments",
    [
        ("--epochs", "0"),
        ("--batch-size", "0"),
        ("--lr", "0"),
        ("--finetune-lr", "-1"),
        ("--finetune-epochs", "0"),
        ("--weight-decay", "-0.1"),
        ("--label-smoothing", "1"),
        ("--patience", "-1"),
        ("--folds", "1"),
        ("--folds", "4", "--patience", "2"),
        ("--weights", "package"),
        ("--backbone", "efficientnet_lite0", "--weights", "imagenet"),
        ("--name", "a@b"),
        ("--version", "1@2"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(TrainingError):
        settings("--data", "d", *arguments)


def test_settings_survive_json() -> None:
    before = settings("--data", "d", "--lr", "0.02", "--checkpoint-dir", "c")
    values = before.to_json()
    places = ("data", "model_dir", "output_dir", "checkpoint_dir")

    after = TrainSettings(**(values | {name: Path(str(values[name])) for name in places}))  # type: ignore[arg-type]

    assert after == before


def test_every_setting_is_explained() -> None:
    assert all(each.help.endswith(".") for each in declared_settings().values())


def test_a_tilde_that_the_shell_left_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    settings = TrainSettings.from_arguments(["--data=~/photos"], {})
    assert settings.data == tmp_path / "photos"


def test_job_that_keeps_features_keeps_them_in_its_checkpoints() -> None:
    environment = {"SM_CHANNEL_TRAINING": "/data", "SM_MODEL_DIR": "/opt/ml/model"}

    kept = TrainSettings.from_arguments(["--features-only", "true"], environment)
    trained = TrainSettings.from_arguments([], environment)
    trial = TrainSettings.from_arguments(
        [], environment | {"SM_CHANNEL_FEATURES": "/opt/ml/input/data/features"}
    )

    assert kept.feature_cache == Path("/opt/ml/checkpoints/features")
    assert trained.feature_cache is None
    assert trial.feature_cache == Path("/opt/ml/input/data/features")
