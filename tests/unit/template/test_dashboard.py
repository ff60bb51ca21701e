"""The dashboard shows metrics that exist, of resources of the stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.records import Status
from tools.paths import PROJECT
from tools.template import load

# As AWS documents them, with their dimensions:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
FUNCTION, ENDPOINT = ("FunctionName",), ("EndpointName", "VariantName")
DOCUMENTED = {
    ("AWS/Lambda", "Errors"): FUNCTION,
    ("AWS/Lambda", "Throttles"): FUNCTION,
    ("AWS/Lambda", "Duration"): FUNCTION,
    ("AWS/Lambda", "ConcurrentExecutions"): FUNCTION,
    ("AWS/Lambda", "IteratorAge"): FUNCTION,
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ("QueueName",),
    ("AWS/SageMaker", "Invocation5XXErrors"): ENDPOINT,
    ("AWS/SageMaker", "ModelLatency"): ENDPOINT,
    ("AWS/States", "ExecutionsFailed"): ("StateMachineArn",),
    ("AWS/DynamoDB", "ThrottledRequests"): ("TableName", "Operation"),
}
OWN = "${AWS::StackName}"
BODY: dict[str, Any] = json.loads(
    load()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
)


def metrics() -> Iterator[list[str]]:
    """Every metric written out: namespace, name, then names and values of dimensions."""
    for widget in BODY["widgets"]:
        before: list[str] = []
        for line in widget["properties"].get("metrics", []):
            parts = [each for each in line if isinstance(each, str)]
            if parts[:1] == ["..."]:
                parts = before[: len(before) - len(parts) + 1] + parts[1:]
            parts = [before[at] if each == "." else each for at, each in enumerate(parts)]
            yield parts
            before = parts


def emitted() -> set[str]:
    """The names of the metrics that ClassifyFunction writes."""
    folder = PROJECT / "functions"
    sources = [folder / "handlers" / "classify.py", folder / "pipeline" / "log_lines.py"]
    text = "".join(path.read_text() for path in sources)
    written = re.findall(r'(?:measure\(|count\(\{|return )"([A-Z]\w+)"', text)
    written += re.findall(r'else "([A-Z]\w+)"', text)
    return {*written, *(each.capitalize() for each in Status)}


@pytest.mark.parametrize("metric", list(metrics()), ids=" ".join)
def test_a_metric_of_the_dashboard_is_written_by_the_code_or_documented_by_aws(
    metric: list[str],
) -> None:
    namespace, name, *dimensions = metric
    if namespace == OWN:
        assert name in emitted()
        assert dimensions == ["service", "classify"]
    else:
        assert tuple(dimensions[::2]) == DOCUMENTED[namespace, name]


def test_the_dashboard_names_resources_of_the_stack() -> None:
    resources = load()["Resources"]
    named = re.findall(r"\$\{(\w+)(?:\.\w+)?\}", json.dumps(BODY))
    assert set(named) <= set(resources)
    assert "ClassifyFunction" in named


def test_the_times_from_drop_to_row_are_shown_as_percentiles() -> None:
    (widget,) = (each for each in BODY["widgets"] if "drop to row" in str(each))
    lines = widget["properties"]["metrics"]
    assert [line[-1]["stat"] for line in lines] == ["p50", "p90", "p99"]


def test_widgets_fill_the_rows_and_do_not_overlap() -> None:
    places = {
        (x, y)
        for each in BODY["widgets"]
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    }
    assert len(places) == sum(each["width"] * each["height"] for each in BODY["widgets"])
    assert max(x for x, _ in places) < 24
