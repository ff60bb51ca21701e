"""From photos to a report, and the report's content."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imagedrop.cli import app
from imagedrop.errors import UserError
from tests.text_boxes import unreadable_texts
from training.errors import TrainingError
from training.inspection.class_rules import ClassCounts, ClassImbalance
from training.inspection.findings import Status
from training.inspection.inspection import (
    Inspection,
    answers_of,
    class_counts,
    inspect_output,
    inspect_training,
)
from training.loop.prepared import Prepared
from training.reports.inspection import write_report
from training.settings import TrainSettings
from training.train import fit, train

from ..conftest import LABELS, short_training

Configure = Callable[..., TrainSettings]


@pytest.fixture(scope="module")
def inspection(
    photos: Path, feature_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Inspection:
    """Of a short training of head and last stage."""
    return inspect_training(
        TrainSettings(
            data=photos,
            feature_cache=feature_cache,
            output_dir=tmp_path_factory.mktemp("inspection"),
            backbone="efficientnet_lite0",
            epochs=10,
            unfreeze="layer4",
            finetune_epochs=1,
            batch_size=8,
            monitor_interval=2,
        )
    )


@pytest.fixture(scope="module")
def page(inspection: Inspection, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(inspection, tmp_path_factory.mktemp("report")).read_text()


def text_of(page: str) -> str:
    """Returns the visible text of a page."""
    words: list[str] = []

    class Words(HTMLParser):
        def handle_data(self, data: str) -> None:
            words.append(data)

    Words().feed(re.sub(r"<style>.*?</style>", "", page, flags=re.S))
    return " ".join(words).replace("\u00a0", " ")


def test_every_rule_has_an_outcome(inspection: Inspection) -> None:
    assert [finding.rule for finding in inspection.findings] == [
        "VanishingGradient",
        "ExplodingTensor",
        "PoorWeightInitialization",
        "DeadRelu",
        "SaturatedActivation",
        "AllZero",
        "UnchangedTensor",
        "WeightUpdateRatio",
        "LossNotDecreasing",
        "LossDiverges",
        "Overfit",
        "Overtraining",
        "ChanceLevel",
        "Confusion",
        "ClassImbalance",
        "MaxInitializationTime",
        "StalledTrainingRule",
        "StepOutlier",
        "Dataloader",
        "CPUBottleneck",
        "IOBottleneck",
        "LowGPUUtilization",
        "GPUMemoryIncrease",
        "BatchSize",
        "OverallSystemUsage",
    ]


def test_healthy_training_shows_no_issue_of_learning(inspection: Inspection) -> None:
    issues = {finding.rule for finding in inspection.issues}

    assert not issues & {
        "VanishingGradient",
        "ExplodingTensor",
        "PoorWeightInitialization",
        "DeadRelu",
        "AllZero",
        "UnchangedTensor",
        "WeightUpdateRatio",
        "LossNotDecreasing",
        "LossDiverges",
        "ChanceLevel",
    }


def test_report_says_what_was_looked_at_found_and_to_do(inspection: Inspection, page: str) -> None:
    headings = re.findall(r"<h2>(.*?)</h2>", page)

    assert headings[:3] == ["What was looked at", "What was found", "What to do"]
    assert {"How it learnt", "Where the time went", "What watching cost"} <= set(headings)
    words = text_of(page)
    for finding in inspection.findings:
        assert finding.rule in words
        assert finding.answer in words
    for issue in inspection.issues:
        assert issue.advice in words


def test_report_says_that_a_frozen_backbone_has_no_gradients(page: str) -> None:
    assert "The backbone is frozen and has no gradients" in text_of(page)
    assert "is about head.2.weight and head.2.bias alone" in text_of(page)


def test_report_prints_what_the_monitor_cost(inspection: Inspection, page: str) -> None:
    assert inspection.seen is not None
    assert inspection.seen.cost is not None
    cost = inspection.seen.cost
    assert cost.seconds > 0
    assert f"took {100 * cost.share:.2f} % longer" in text_of(page)


def test_report_needs_nothing_from_elsewhere(page: str) -> None:
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_no_text_of_a_chart_covers_another(page: str) -> None:
    assert unreadable_texts(page) == []


def test_json_says_the_same(inspection: Inspection, tmp_path: Path) -> None:
    content = json.loads(inspection.write(tmp_path).read_text())

    assert [each["rule"] for each in content["findings"]] == [
        finding.rule for finding in inspection.findings
    ]
    assert {each["status"] for each in content["findings"]} <= set(Status)
    assert content["monitor"]["share"] > 0
    assert {each["phase"] for each in content["time"]} == {"head", "finetune"}
    assert content["operators"]
    assert set(content["stages"]) == {"initialization", "loop", "finalization"}
    assert min(content["stages"].values()) > 0
    assert content["preparation"]["hashing"] > 0
    assert all(each["p50"] <= each["p95"] <= each["p99"] for each in content["steps"])
    assert sum(content["steps"][0]["counts"]) == content["steps"][0]["steps"]
    assert content["machine"]["cores"] >= 1


@pytest.fixture
def shuffled(photos: Path, tmp_path: Path) -> Path:
    """The same photos, each in a random folder of the three."""
    paths = sorted(photos.glob("*/*"))
    order = list(range(len(paths)))
    random.Random(3).shuffle(order)  # noqa: S311 - repeatable, not secret
    for label in LABELS:
        (tmp_path / "shuffled" / label).mkdir(parents=True)
    for number, place in enumerate(order):
        name = f"{LABELS[number % 3]}/{place}{paths[place].suffix}"
        shutil.copy(paths[place], tmp_path / "shuffled" / name)
    return tmp_path / "shuffled"


def test_shuffled_labels_are_named_as_the_cause(shuffled: Path, configure: Configure) -> None:
    inspection = inspect_training(configure(data=shuffled, epochs=40, monitor_interval=5))

    (chance,) = (each for each in inspection.findings if each.rule == "ChanceLevel")
    assert chance.status is Status.ISSUES_FOUND, chance.answer
    assert "shuffled" in chance.advice


def test_learning_rate_of_50_is_named_as_the_cause(shuffled: Path, configure: Configure) -> None:
    inspection = inspect_training(configure(data=shuffled, lr=50.0, epochs=10, monitor_interval=1))

    advice = {each.rule: each.advice for each in inspection.issues}
    assert "Lower the learning rate" in advice["LossDiverges"]
    assert "Lower the learning rate" in advice["WeightUpdateRatio"]


def test_trace_opens_in_chrome(inspection: Inspection, tmp_path: Path) -> None:
    """The Trace Event Format: complete events have a time and a duration, in microseconds."""
    inspection.write(tmp_path)
    content = json.loads((tmp_path / "trace.json").read_text())

    slices = [each for each in content["traceEvents"] if each["ph"] == "X"]
    assert {"initialization", "training loop", "forward", "backbone"} <= {x["name"] for x in slices}
    assert all(each["ts"] >= 0 and each["dur"] >= 0 for each in slices)
    assert all({"pid", "tid", "name"} <= each.keys() for each in slices)
    loop = next(each for each in slices if each["name"] == "training loop")
    steps = [each for each in slices if each["name"].startswith("step ")]
    assert steps
    for each in steps:
        assert loop["ts"] <= each["ts"] <= loop["ts"] + loop["dur"]


def test_classes_are_counted_and_their_validation_images_judged(
    prepared: Prepared, configure: Configure
) -> None:
    settings = configure(epochs=10)
    fitted = fit(prepared, settings)

    counts = class_counts(prepared, fitted, answers_of(fitted.answers))

    assert [each.label for each in counts] == list(LABELS)
    assert sum(each.train_images for each in counts) == len(fitted.partition.train)
    right = 1 - sum(each.wrong or 0 for each in counts) / len(fitted.partition.valid)
    assert right == pytest.approx(fitted.metrics.valid_top1)


def test_predictions_of_a_finetuned_network_are_its_own(
    prepared: Prepared, configure: Configure
) -> None:
    """Not those of its head on the features of the backbone as it was."""
    settings = configure(epochs=2, unfreeze="layer4", finetune_epochs=1)
    fitted = fit(prepared, settings)

    counts = class_counts(prepared, fitted, answers_of(fitted.answers))

    right = 1 - sum(each.wrong or 0 for each in counts) / len(fitted.partition.valid)
    assert right == pytest.approx(fitted.metrics.valid_top1)


def test_training_that_was_watched_can_be_inspected_later(configure: Configure) -> None:
    settings = configure(monitor_interval=2, profile=True)
    train(settings)

    inspection = inspect_output(settings.output_dir)

    assert inspection.settings["backbone"] == "efficientnet_lite0"
    assert inspection.seen is not None
    assert inspection.profile is not None
    (imbalance,) = (each for each in inspection.findings if each.rule == "ClassImbalance")
    assert imbalance.status is Status.NOT_EVALUATED


@pytest.fixture(scope="module")
def monitored(photos: Path, feature_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a training with a monitor, and without a profiler."""
    folder = tmp_path_factory.mktemp("monitored")
    settings = short_training(photos, feature_cache, folder, monitor_interval=2)
    train(settings)
    return settings.output_dir


def test_monitor_alone_is_enough_for_a_report(monitored: Path, tmp_path: Path) -> None:
    inspection = inspect_output(monitored)

    page = write_report(inspection, tmp_path).read_text()

    assert inspection.profile is None
    assert "Where the time went" not in page
    assert "How it learnt" in page


def test_names_of_classes_are_escaped(inspection: Inspection, tmp_path: Path) -> None:
    counts = [ClassCounts("<script>alert(1)</script>", 600), ClassCounts("pug", 1)]
    finding = ClassImbalance()(counts, 1)

    page = write_report(replace(inspection, findings=(finding,)), tmp_path).read_text()

    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page


def test_folder_with_nothing_to_inspect_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="holds nothing to inspect"):
        inspect_output(tmp_path)


def test_command_inspects_photos(photos: Path, feature_cache: Path, tmp_path: Path) -> None:
    arguments = ["inspect", "--data", str(photos), "--destination", str(tmp_path)]
    arguments += ["--backbone", "efficientnet_lite0", "--epochs", "6", "--batch-size", "8"]
    done = CliRunner().invoke(app, [*arguments, "--feature-cache", str(feature_cache)])

    assert done.exit_code == 0, done.output
    assert (tmp_path / "inspection.html").is_file()
    assert (tmp_path / "inspection.json").is_file()
    assert done.stdout == ""
    assert "VanishingGradient: NoIssuesFound" in done.stderr


def test_command_inspects_what_a_training_left(monitored: Path, tmp_path: Path) -> None:
    arguments = ["inspect", "--output", str(monitored), "--destination", str(tmp_path)]

    done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 0, done.output
    assert (tmp_path / "inspection.html").is_file()


@pytest.mark.parametrize("arguments", [[], ["--data", "a", "--output", "b"]])
def test_command_wants_exactly_one_thing_to_inspect(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, ["inspect", *arguments])

    assert isinstance(done.exception, UserError)
    assert "Give photos to train on" in str(done.exception)
