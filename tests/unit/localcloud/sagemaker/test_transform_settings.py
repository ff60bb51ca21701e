"""The request before the container's wishes before the defaults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.transform_settings import check_request, resolve


def job(**changes: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://a/b"}}
    return {
        "TransformInput": {"DataSource": source, **changes.pop("given", {})},
        "TransformOutput": {"S3OutputPath": "s3://a/c"},
        "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
        **changes,
    }


def wishes(**values: Any) -> bytes:
    return json.dumps(values).encode()


def test_defaults_are_sagemaker_s() -> None:
    settings = resolve(job(), None)
    assert settings.max_concurrent_transforms == 1
    assert settings.concurrency == 2  # over two instances
    assert settings.max_payload_bytes == 6 * 1024 * 1024
    assert settings.strategy == "MultiRecord"
    assert (settings.max_retries, settings.timeout_seconds) == (3, 600)
    assert not settings.assemble_with_line


def test_container_s_wishes_replace_defaults() -> None:
    parameters = wishes(MaxConcurrentTransforms=4, MaxPayloadInMB=20, BatchStrategy="SINGLE_RECORD")
    settings = resolve(job(), parameters)
    assert settings.max_concurrent_transforms == 4
    assert settings.max_payload_mb == 20
    assert settings.strategy == "SingleRecord"


def test_request_outweighs_the_container() -> None:
    parameters = wishes(MaxConcurrentTransforms=4, MaxPayloadInMB=20)
    settings = resolve(job(MaxConcurrentTransforms=2, MaxPayloadInMB=3), parameters)
    assert (settings.max_concurrent_transforms, settings.max_payload_mb) == (2, 3)


def test_wishes_never_exceed_the_payload_limit() -> None:
    assert resolve(job(MaxPayloadInMB=50), wishes(MaxConcurrentTransforms=9)).concurrency == 2 * 2
    assert resolve(job(MaxPayloadInMB=100), wishes(MaxConcurrentTransforms=9)).concurrency == 2


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b"null"])
def test_unreadable_wishes_are_no_wishes(content: bytes) -> None:
    assert resolve(job(), content) == resolve(job(), None)


@pytest.mark.parametrize(
    "request_",
    [
        job(given={"SplitType": "RecordIO"}),
        job(given={"CompressionType": "Gzip"}),
        job(DataProcessing={"InputFilter": "$.features"}),
        job(MaxPayloadInMB=0),
        job(MaxPayloadInMB=26, MaxConcurrentTransforms=4),
    ],
)
def test_what_can_not_be_done_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as caught:
        check_request(request_)
    assert caught.value.code == "ValidationException"


def test_limits_themselves_are_allowed() -> None:
    check_request(job(MaxPayloadInMB=100))
    check_request(job(MaxPayloadInMB=25, MaxConcurrentTransforms=4, BatchStrategy="MultiRecord"))
