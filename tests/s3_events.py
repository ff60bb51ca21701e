"""S3 notifications and queue messages as AWS writes them; moto's lack version and sequencer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

BUCKET = "imagedrop-images-test"


def s3_record(
    key: str = "incoming/dog.jpg",
    *,
    event: str = "ObjectCreated:Put",
    version: str | None = "v1",
    sequencer: str = "0062E99A88DC407460",
    size: int = 1000,
    time: str = "2026-11-24T06:00:00.000Z",
) -> dict[str, Any]:
    s3_object: dict[str, Any] = {"key": quote_plus(key, safe="/"), "sequencer": sequencer}
    if event.startswith("ObjectCreated:"):
        s3_object |= {"size": size, "eTag": "d41d8cd98f00b204e9800998ecf8427e"}
    if version is not None:
        s3_object["versionId"] = version
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": time,
        "eventName": event,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": BUCKET, "arn": f"arn:aws:s3:::{BUCKET}"},
            "object": s3_object,
        },
    }


def queue_body(*records: dict[str, Any]) -> str:
    return json.dumps({"Records": list(records)})


def queue_event(*bodies: str) -> dict[str, Any]:
    """Returns an event of Lambda's event source mapping; message ids count from m0."""
    return {
        "Records": [
            {
                "messageId": f"m{index}",
                "receiptHandle": f"handle-{index}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795593600000"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:imagedrop-images",
                "awsRegion": "us-east-1",
            }
            for index, body in enumerate(bodies)
        ]
    }
