"""The template's defaults within the quotas of a new account."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.quotas import ESTABLISHED, NEW_ACCOUNT
from tools.template import load


def serverless(memory_mb: int, concurrency: int) -> dict[str, Any]:
    return {"ServerlessConfig": {"MemorySizeInMB": memory_mb, "MaxConcurrency": concurrency}}


def test_endpoint_of_the_templates_defaults_can_be_made_and_updated_on_a_new_account() -> None:
    parameters = load()["Parameters"]
    variant = serverless(
        int(parameters["EndpointCapacity"]["Default"]),
        int(parameters["ClassifyConcurrency"]["Default"]),
    )
    NEW_ACCOUNT.check_endpoint(variant, [])
    # An update may count the old and the new variant together.
    NEW_ACCOUNT.check_endpoint(variant, [variant])


@pytest.mark.parametrize("variant", [serverless(4096, 1), serverless(1024, 11)])
def test_what_a_new_account_may_not_have_an_established_one_may(variant: dict[str, Any]) -> None:
    ESTABLISHED.check_endpoint(variant, [])
    with pytest.raises(ServiceError) as caught:
        NEW_ACCOUNT.check_endpoint(variant, [])
    assert caught.value.code == "ResourceLimitExceeded"
