"""Contract: rules get SageMaker's events from the stand-in only."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from localcloud.sagemaker.training_events import DETAIL_TYPE, SOURCE, TrainingEvents
from tests.integration.emulator.emulator_harness import Emulator, eventually, outputs

JOB = {
    "TrainingJobName": "one",
    "TrainingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/one",
    "TrainingJobStatus": "Completed",
    "CreationTime": 1.5,
}


def heard(emulator: Emulator, name: str) -> tuple[Any, str]:
    """SQS client and URL of a queue that a rule sends the events of completed jobs to."""
    template = {
        "Resources": {
            "Queue": {"Type": "AWS::SQS::Queue"},
            "Rule": {
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "EventPattern": {
                        "source": [SOURCE],
                        "detail": {"TrainingJobStatus": ["Completed"]},
                    },
                    "Targets": [{"Id": "queue", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}],
                },
            },
        },
        "Outputs": outputs(Queue={"Ref": "Queue"}),
    }
    return emulator.client("sqs"), emulator.deploy(name, template)["Queue"]


def test_the_stand_ins_event_reaches_the_rule(emulator: Emulator) -> None:
    sqs, queue_url = heard(emulator, "heard")

    asyncio.run(TrainingEvents(emulator.url).announce(JOB))

    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=queue_url).get("Messages"))
    event = json.loads(message["Body"])
    assert (event["source"], event["detail-type"]) == (SOURCE, DETAIL_TYPE)
    assert event["detail"]["TrainingJobName"] == "one"
    assert event["detail"]["CreationTime"] == 1500
    assert event["resources"] == [JOB["TrainingJobArn"]]


def test_anybody_elses_event_of_aws_is_refused_as_on_aws(emulator: Emulator) -> None:
    answer = emulator.client("events").put_events(
        Entries=[{"Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": json.dumps(JOB)}]
    )
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_an_event_that_is_refused_leaves_the_job_alone(caplog: Any) -> None:
    closed_port = "http://127.0.0.1:9"
    asyncio.run(TrainingEvents(closed_port).announce(JOB))
    assert "no event was sent" in caplog.text
