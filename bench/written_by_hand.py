"""A plain handwritten S3 -> Lambda -> SageMaker -> DynamoDB function, for ``bench.drop`` only.

One event an image, boto3's resources, the file as it is to the endpoint, which decodes it, and one
unconditional put: no rejection reasons, no order of events, no duplicates, no batch failures. The
row has the fields that ``bench.drop`` waits for.
"""

from __future__ import annotations

import json
import mimetypes
import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_plus

import boto3
from botocore.exceptions import ClientError

BAD_REQUEST = 400  # the model's container answers this to a file that is not an image

s3 = boto3.resource("s3")
runtime = boto3.client("sagemaker-runtime")
table = boto3.resource("dynamodb").Table(os.environ["PREDICTIONS_TABLE"])


def handler(event: dict[str, Any], _context: object) -> None:
    for message in event["Records"]:
        for record in json.loads(message["body"])["Records"]:
            bucket = record["s3"]["bucket"]["name"]
            key = unquote_plus(record["s3"]["object"]["key"])
            response = s3.Object(bucket, key).get()
            body = response["Body"].read()
            item = {
                "image": f"s3://{bucket}/{key}",
                "key": key,
                "version": response["VersionId"],
                "source": "drop",
                "bytes": len(body),
                "received_at": record["eventTime"],
                "classified_at": datetime.now(UTC).isoformat(),
            }
            table.put_item(Item=item | classify(key, body))


def classify(key: str, body: bytes) -> dict[str, Any]:
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=os.environ["ENDPOINT_NAME"],
            ContentType=mimetypes.guess_type(key)[0] or "application/x-image",
            Body=body,
        )
    except ClientError as error:
        if error.response.get("OriginalStatusCode") != BAD_REQUEST:
            raise
        return {"status": "REJECTED", "reason": "not_an_image"}
    (entry,) = json.loads(answer["Body"].read(), parse_float=Decimal)
    return {"status": "CLASSIFIED"} | {
        name: entry[name] for name in ("label", "confidence", "predictions", "model")
    }
