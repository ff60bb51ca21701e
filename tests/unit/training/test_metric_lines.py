"""The tuner reads the same metrics that an epoch's line states."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.metric_lines import read_metric
from training.tracking.metric_lines import (
    NAMES,
    MetricLog,
    metric_definitions,
    metric_line,
    metric_regex,
)
from training.watch.observer import EpochMetrics

MEASURED = EpochMetrics(3, "head", 0.12345, 1e-7, 0.9123, 1.0, 61.5)
UNMEASURED = EpochMetrics(3, "head", 0.12345, None, None, None, 61.5)


def test_line_is_the_one_of_the_documentation() -> None:
    assert metric_line(MEASURED) == (
        "metrics epoch=3 train_loss=0.1235 valid_loss=0.0000 valid_top1=0.9123 valid_top5=1.0000 "
        "seconds=61.50"
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_is_read_back(name: str) -> None:
    assert read_metric(f"[rank 0] {metric_line(MEASURED)}", name) == pytest.approx(
        getattr(MEASURED, name), abs=1e-4
    )


def test_what_was_not_measured_is_not_there() -> None:
    assert read_metric(metric_line(UNMEASURED), "valid_top1") is None
    assert read_metric(metric_line(UNMEASURED), "train_loss") == pytest.approx(0.1235)


def test_loss_that_is_not_a_number_is_read_as_that() -> None:
    diverged = EpochMetrics(1, "head", float("nan"), float("inf"), 0.1, 0.5, 1.0)

    assert "nan" in str(read_metric(metric_line(diverged), "train_loss"))
    assert read_metric(metric_line(diverged), "valid_loss") == float("inf")


def test_line_of_anything_else_is_no_metric() -> None:
    assert read_metric("fold 1: top1=0.9", "valid_top1") is None


def test_sagemaker_gets_one_group_a_metric() -> None:
    definitions = metric_definitions()

    assert [each["Name"] for each in definitions] == list(NAMES)
    assert all(re.compile(each["Regex"]).groups == 1 for each in definitions)
    # The limit of MetricDefinition.Regex in SageMaker's API.
    assert all(len(each["Regex"]) <= 500 for each in definitions)


def test_unknown_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="accuracy"):
        metric_regex("accuracy")


def test_log_keeps_every_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metrics.jsonl").write_text("of an earlier training\n")
    log = MetricLog(tmp_path)
    log.on_epoch(MEASURED)
    log.on_epoch(UNMEASURED)

    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()

    assert [json.loads(line)["valid_top1"] for line in lines] == [0.9123, None]
    assert capsys.readouterr().out.splitlines() == [metric_line(MEASURED), metric_line(UNMEASURED)]
