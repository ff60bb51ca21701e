"""Sends a training job's request by SageMaker's own SDK: its `TrainingJob` resource.

The commands send the same dictionary by boto3, which needs 450 MB of packages less; this shows
that the SDK takes it too. Needs `sagemaker-core` (requirements/sagemaker.txt), in a separate
environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Their keys are chosen by users; they are not members of SageMaker's API.
_MAPS_OF_NAMES = frozenset({"HyperParameters", "RuleParameters", "CollectionParameters"})
_HEAD_OF_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def create_with_sdk(request: Mapping[str, Any], session: Any = None, region: str = "") -> Any:
    """Creates the job of `training_job_request`; returns a `sagemaker.core.resources.TrainingJob`.

    Args:
        session: a boto3 session; by default the SDK's.
        region: by default the session's.

    Raises:
        pydantic.ValidationError: the request does not fit the SDK's shapes.
        botocore.exceptions.ClientError: SageMaker refuses it.
    """
    from sagemaker.core.resources import (  # type: ignore[import-not-found] # noqa: PLC0415
        TrainingJob,
    )

    return TrainingJob.create(**in_snake_case(request), session=session, region=region or None)


def in_snake_case(value: Any) -> Any:
    """Renames all members as the SDK does: `{"S3Uri": …}` becomes `{"s3_uri": …}`."""
    if isinstance(value, Mapping):
        return {
            _HEAD_OF_WORD.sub("_", name).lower(): (
                dict(item) if name in _MAPS_OF_NAMES else in_snake_case(item)
            )
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [in_snake_case(item) for item in value]
    return value
