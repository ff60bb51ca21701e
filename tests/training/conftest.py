"""Small photos of three classes, and trainings on them that finish in seconds."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor, optim

from tests.training.kept_graphs import KeptGraphs
from training.export import exporting
from training.loop.prepared import Prepared, prepare
from training.networks.network import TransferNetwork
from training.settings import TrainSettings
from training.watch.observer import EpochMetrics, Phase, TrainingObserver

COLOURS = {
    "001.Green_apple": (60, 170, 60),
    "002.Ripe_tomato": (190, 50, 40),
    "sky": (80, 120, 200),
}
LABELS = ("Green_apple", "Ripe_tomato", "sky")
IMAGES_A_CLASS = 10
GRAPHS = KeptGraphs()


def draw(colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """A noisy picture of one colour."""
    noise = np.random.default_rng(seed).normal(0, 40, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


def draw_folder(folder: Path, images_a_class: int) -> Path:
    """class/IMAGE, JPEG and PNG in turn."""
    for place, (label, colour) in enumerate(COLOURS.items()):
        (folder / label).mkdir(parents=True)
        for number in range(images_a_class):
            suffix = ("jpg", "png")[number % 2]
            # No two photos have the same noise: they would look the same.
            draw(colour, 100 * place + number).save(folder / label / f"{number:02}.{suffix}")
    return folder


@pytest.fixture(scope="module", autouse=True)
def each_architecture_is_exported_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    if "PYTEST_XDIST_WORKER" in os.environ:  # whose folders lie beside each other
        GRAPHS.folder = tmp_path_factory.getbasetemp().parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "export_onnx", GRAPHS.export)
        yield


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set: 30 photos."""
    return draw_folder(tmp_path_factory.mktemp("photos") / "all", IMAGES_A_CLASS)


@pytest.fixture(scope="session")
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests, so that each backbone runs over the photos once."""
    return tmp_path_factory.mktemp("features")


Configure = Callable[..., TrainSettings]


def short_training(
    photos: Path, feature_cache: Path, folder: Path, /, **given: object
) -> TrainSettings:
    """Settings of a training of seconds; any of them can be given."""
    values: dict[str, object] = {
        "data": photos,
        "feature_cache": feature_cache,
        "model_dir": folder / "model",
        "output_dir": folder / "output",
        "backbone": "efficientnet_lite0",
        "epochs": 3,
        "batch_size": 8,
    }
    return TrainSettings(**(values | given))  # type: ignore[arg-type]


@pytest.fixture
def configure(photos: Path, feature_cache: Path, tmp_path: Path) -> Configure:
    """`short_training` in a folder of the test's own."""
    return partial(short_training, photos, feature_cache, tmp_path)


@pytest.fixture
def prepared(configure: Configure) -> Prepared:
    """The photos' features by EfficientNet-Lite0."""
    return prepare(configure())


class Watched(TrainingObserver):
    """An observer that records its calls."""

    network: TransferNetwork
    """As it was at the end of the last epoch."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []
        """Of each phase, the learning rates of its groups at its begin."""
        self.steps: list[tuple[str, int]] = []
        self.epochs: list[EpochMetrics] = []
        self.ended = 0

    def on_begin(
        self, network: TransferNetwork, optimizer: optim.Optimizer, settings: TrainSettings
    ) -> None:
        self._live = network
        self.rates.append([group["lr"] for group in optimizer.param_groups])

    def on_step(self, phase: Phase, step: int, loss: Tensor) -> None:
        self.steps.append((phase, step))

    def on_epoch(self, metrics: EpochMetrics) -> None:
        self.epochs.append(metrics)
        # A copy, because a phase ends by restoring the weights of its best epoch.
        self.network = copy.deepcopy(self._live)

    def on_end(self) -> None:
        self.ended += 1
