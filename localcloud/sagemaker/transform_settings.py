"""Settings of a transform job: from its request, its container, or the defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.sagemaker.errors import not_emulated, validation_exception

MEGABYTE = 1024 * 1024
MAX_PAYLOAD_MB = 100  # "MaxPayloadInMB must not be greater than 100 MB", API_CreateTransformJob
_STRATEGIES = {
    "MULTI_RECORD": "MultiRecord",
    "SINGLE_RECORD": "SingleRecord",
    "MultiRecord": "MultiRecord",
    "SingleRecord": "SingleRecord",
}


@dataclass(frozen=True, slots=True)
class TransformSettings:
    """Settings of a running job.

    ``strategy`` only matters where objects are split into records: with SplitType None a request
    is one whole object, whatever it says (API_CreateTransformJob, BatchStrategy).
    """

    max_concurrent_transforms: int  # per instance
    max_payload_mb: int
    strategy: str
    instance_count: int
    max_retries: int
    timeout_seconds: float
    content_type: str | None
    accept: str | None
    assemble_with_line: bool

    @property
    def concurrency(self) -> int:
        """Concurrent requests, over all instances."""
        return self.max_concurrent_transforms * self.instance_count

    @property
    def max_payload_bytes(self) -> int:
        """A megabyte is 1,048,576 bytes."""
        return self.max_payload_mb * MEGABYTE


def check_request(request: Mapping[str, Any]) -> None:
    """Raise ``ServiceError`` for a request that SageMaker refuses or that is not emulated."""
    given = request["TransformInput"]
    source = given["DataSource"].get("S3DataSource", {})
    _only("SplitType", given.get("SplitType", "None"), "None")
    _only("CompressionType", given.get("CompressionType", "None"), "None")
    _only("S3DataType", source.get("S3DataType", "S3Prefix"), "S3Prefix", "ManifestFile")
    processing = request.get("DataProcessing", {})
    _only("InputFilter", processing.get("InputFilter", "$"), "$")
    _only("OutputFilter", processing.get("OutputFilter", "$"), "$")
    _only("JoinSource", processing.get("JoinSource", "None"), "None")
    if not source.get("S3Uri"):
        raise not_emulated("transform input without S3DataSource")
    if request.get("MaxPayloadInMB") == 0:
        raise not_emulated("MaxPayloadInMB 0 (chunked encoding)")
    _check_payload(request.get("MaxPayloadInMB"), request.get("MaxConcurrentTransforms"))


def resolve(request: Mapping[str, Any], execution_parameters: bytes | None) -> TransformSettings:
    """The job's settings: the request, else /execution-parameters, else SageMaker's defaults."""
    own = _container_settings(execution_parameters)
    client = request.get("ModelClientConfig", {})
    output = request["TransformOutput"]
    payload_mb = int(request.get("MaxPayloadInMB") or own.get("MaxPayloadInMB") or 6)
    concurrent = min(int(own.get("MaxConcurrentTransforms") or 1), MAX_PAYLOAD_MB // payload_mb)
    strategy = request.get("BatchStrategy") or own.get("BatchStrategy") or "MultiRecord"
    return TransformSettings(
        max_concurrent_transforms=int(request.get("MaxConcurrentTransforms") or max(concurrent, 1)),
        max_payload_mb=payload_mb,
        strategy=_STRATEGIES.get(str(strategy), "MultiRecord"),
        instance_count=request["TransformResources"]["InstanceCount"],
        # Defaults of ModelClientConfig: 3 retries, 600 seconds (API_ModelClientConfig).
        max_retries=client.get("InvocationsMaxRetries", 3),
        timeout_seconds=client.get("InvocationsTimeoutInSeconds", 600),
        content_type=request["TransformInput"].get("ContentType"),
        accept=output.get("Accept"),
        assemble_with_line=output.get("AssembleWith") == "Line",
    )


def _container_settings(execution_parameters: bytes | None) -> dict[str, Any]:
    if execution_parameters is None:
        return {}
    try:
        own = json.loads(execution_parameters)
    except ValueError:
        return {}
    return own if isinstance(own, dict) else {}


def _only(member: str, value: str, *emulated: str) -> None:
    if value not in emulated:
        raise not_emulated(f"{member} {value} (only {' and '.join(emulated)})")


def _check_payload(payload_mb: int | None, concurrent: int | None) -> None:
    if (payload_mb or 1) > MAX_PAYLOAD_MB or (payload_mb or 1) * (concurrent or 1) > MAX_PAYLOAD_MB:
        raise validation_exception(
            "The value of MaxPayloadInMB, and of MaxConcurrentTransforms * MaxPayloadInMB, "
            f"must not be greater than {MAX_PAYLOAD_MB} MB."
        )
