"""A training job's request through SageMaker's own SDK: its `TrainingJob` resource.

boto3 sends the same dictionary without 450 MB of packages, and is what the commands use. For who
works with the SDK already: the resource waits, refreshes and stops.

Needs `sagemaker-core` (requirements/sagemaker.txt), in an environment of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Their keys are names that somebody chose, and no members of SageMaker's API.
_MAPS_OF_NAMES = frozenset({"HyperParameters", "RuleParameters", "CollectionParameters"})
_HEAD_OF_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def create_with_sdk(request: Mapping[str, Any], session: Any = None, region: str = "") -> Any:
    """Creates the job of `training_job_request`; a `sagemaker.core.resources.TrainingJob`.

    Args:
        session: a boto3 session; the SDK's own default without one.
        region: where to; the session's without one.

    Raises:
        pydantic.ValidationError: the SDK's shapes do not take the request.
        botocore.exceptions.ClientError: SageMaker refuses it.
    """
    # It takes seconds to import, and hardly anybody has it.
    from sagemaker.core.resources import (  # type: ignore[import-not-found] # noqa: PLC0415
        TrainingJob,
    )

    return TrainingJob.create(**in_snake_case(request), session=session, region=region or None)


def in_snake_case(value: Any) -> Any:
    """`{"S3Uri": …}` as `{"s3_uri": …}`, all the way down, as the SDK names the same members."""
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
