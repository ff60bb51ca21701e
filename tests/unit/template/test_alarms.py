"""Every alarm of the template goes off for its cause, and is quiet while all is well."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from pipeline.message_batch import oldest_seconds
from pipeline.retries import retry_seconds
from tests.unit.template.cloudwatch import Message, Samples, alarm_fires, queue_metrics
from tools.template import load, of_type

HOUR = 3600
ALARMS: dict[str, dict[str, Any]] = of_type(load(), "AWS::CloudWatch::Alarm")
# The alarm that the template had: on the queue's own metric alone.
FORMER_OLDEST_IMAGE_ALARM = {
    "MetricName": "ApproximateAgeOfOldestMessage",
    "Statistic": "Maximum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 900,
    "TreatMissingData": "notBreaching",
}
TIMES = ((100.0, 1.0), (400.0, 1.0))
Measured = dict[str, Samples]


def failing_image(*, is_transient: bool) -> tuple[Message, Measured]:
    """A message that fails at each of its ten tries, and what is measured meanwhile.

    The pauses are the pipeline's own, and so is the metric of the function.
    """
    random.seed(0)
    message = Message(sent=0.0)
    ages: list[tuple[float, float]] = []
    second = 1.0
    for receives in range(1, 11):
        attributes = {"SentTimestamp": "0", "ApproximateReceiveCount": str(receives)}
        ages.append((second, oldest_seconds([{"attributes": attributes}], second)))
        pause = retry_seconds(receives, is_transient=is_transient)
        message.received.append(second)
        second += pause
    message.deleted = second  # given up: it is in the dead-letter queue
    return message, {"OldestSeconds": ages}


def failing(*, is_transient: bool) -> Measured:
    message, own = failing_image(is_transient=is_transient)
    return own | queue_metrics([message], 2 * HOUR)


def waiting() -> Measured:
    """A mapping that is disabled, or a function that is throttled: nothing is received for good."""
    return queue_metrics([Message(sent=30.0 * number) for number in range(20)], HOUR)


def throttled() -> Measured:
    """The poller receives, Lambda refuses: the messages come back, and nothing is deleted."""
    messages = []
    for number in range(20):
        # A refused message is visible again after the queue's visibility timeout, 540 s.
        received = [60.0 + 30 * number + 540 * turn for turn in range(6)]
        messages.append(Message(30.0 * number, received))
    return queue_metrics(messages, HOUR)


def well() -> Measured:
    """An image every ten seconds, each received and finished within two."""
    messages = [
        Message(10.0 * number, [10.0 * number + 1], 10.0 * number + 2) for number in range(360)
    ]
    return queue_metrics(messages, HOUR) | {
        "OldestSeconds": [(each.received[0], 1.0) for each in messages],
        "DriftingProperties": [(1800.0, 0.0)],
    }


CAUSES: dict[str, Callable[[], Measured]] = {
    "DeadLettersAlarm": lambda: {"ApproximateNumberOfMessagesVisible": [(60.0, 1.0)]},
    "OldestImageAlarm": lambda: failing(is_transient=True),
    "WaitingImagesAlarm": waiting,
    "ClassifyErrorsAlarm": lambda: {"Errors": TIMES},
    "EndpointErrorsAlarm": lambda: {"Invocation5XXErrors": [(10.0, 6.0), (70.0, 6.0)]},
    "ProposeModelErrorsAlarm": lambda: {"Errors": TIMES},
    "BulkRunFailedAlarm": lambda: {"ExecutionsFailed": TIMES},
    "ApiErrorsAlarm": lambda: {"Errors": TIMES},
    "ChangesLateAlarm": lambda: {"IteratorAge": [(60.0, 4e6)]},
    "NoticesLeftOutAlarm": lambda: {"NoticesLeftOut": TIMES},
    "DriftAlarm": lambda: {"DriftingProperties": [(1800.0, 1.0)]},
    "DriftErrorsAlarm": lambda: {"Errors": TIMES},
}


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("OldestImageAlarm", "ClassifyFunction"),
        ("NoticesLeftOutAlarm", "ChangesFunction"),
        ("DriftAlarm", "DriftFunction"),
    ],
)
def test_alarm_reads_the_metric_where_the_function_writes_it(name: str, function: str) -> None:
    variables = load()["Resources"][function]["Properties"]["Environment"]["Variables"]
    alarm = ALARMS[name]
    assert alarm["Namespace"] == variables["POWERTOOLS_METRICS_NAMESPACE"]
    assert alarm["Dimensions"] == [
        {"Name": "service", "Value": variables["POWERTOOLS_SERVICE_NAME"]}
    ]


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_alarm_goes_off_for_its_cause(name: str) -> None:
    assert alarm_fires(ALARMS[name], CAUSES[name](), max(2 * HOUR, ALARMS[name]["Period"]))


@pytest.mark.parametrize("name", sorted(set(ALARMS) - {"DeadLettersAlarm"}))
def test_alarm_is_quiet_while_all_is_well(name: str) -> None:
    # Lambda, SageMaker and Step Functions report no errors where there are none.
    assert not alarm_fires(ALARMS[name], well(), max(HOUR, ALARMS[name]["Period"]))


def test_dead_letters_alarm_is_quiet_while_its_queue_is_empty() -> None:
    assert not alarm_fires(ALARMS["DeadLettersAlarm"], queue_metrics([], HOUR), HOUR)


@pytest.mark.parametrize("is_transient", [True, False])
def test_image_that_fails_again_and_again_is_seen_by_the_functions_metric_alone(
    is_transient: bool,
) -> None:
    measured = failing(is_transient=is_transient)
    assert not alarm_fires(FORMER_OLDEST_IMAGE_ALARM, measured, 2 * HOUR)
    assert alarm_fires(ALARMS["OldestImageAlarm"], measured, 2 * HOUR)


@pytest.mark.parametrize("is_transient", [True, False])
def test_alarm_of_the_oldest_image_goes_off_before_the_image_is_given_up(
    is_transient: bool,
) -> None:
    message, measured = failing_image(is_transient=is_transient)
    assert message.deleted is not None
    first_periods = 30 * 60 if is_transient else int(message.deleted) // 300 * 300
    assert first_periods < message.deleted
    assert alarm_fires(ALARMS["OldestImageAlarm"], measured, first_periods)


def test_alarm_of_the_oldest_image_stays_on_between_two_tries() -> None:
    """Otherwise each try of a service that is down would send a mail."""
    _, measured = failing_image(is_transient=True)
    alarm = ALARMS["OldestImageAlarm"]
    old = [second for second, age in measured["OldestSeconds"] if age > alarm["Threshold"]]
    pauses = [after - before for before, after in pairwise(old)]
    assert max(pauses) < alarm["EvaluationPeriods"] * alarm["Period"]


@pytest.mark.parametrize("cause", [waiting, throttled])
def test_images_that_are_not_received_are_seen(cause: Callable[[], Measured]) -> None:
    assert alarm_fires(ALARMS["WaitingImagesAlarm"], cause(), HOUR)
