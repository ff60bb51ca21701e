"""Quotas of a new account, in the words that public records of real accounts show.

- 'Memory size in MB per serverless endpoint' is 3072 MBs: eight records, from CreateEndpoint.
- Total serverless concurrency 10: quota L-96300102, in the Terraform code of a public project.
- 0 instances: "'ml.m5.large for transform job usage' is 0 Instances", several records.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sagemaker.fake_s3 import FakeS3
from tests.integration.sagemaker.stand_in import StandIn
from tests.integration.sagemaker.test_training_jobs import job_request as training_request
from tests.integration.sagemaker.test_transform_jobs import job_request
from tests.integration.sagemaker.test_tuning_jobs import tuning_request


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, s3: FakeS3) -> Iterator[StandIn]:
    program = StandIn(tmp_path_factory.mktemp("sagemaker"), s3.url, "--new-account")
    program.start()
    program.create_model("model")
    yield program
    program.end()


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == "ResourceLimitExceeded"
    return str(error["Message"])


def serverless(memory_mb: int, concurrency: int) -> dict[str, Any]:
    return {"ServerlessConfig": {"MemorySizeInMB": memory_mb, "MaxConcurrency": concurrency}}


def test_serverless_endpoint_of_4096_mb_is_refused_in_sagemakers_words(account: StandIn) -> None:
    account.create_config("large", "model", **serverless(4096, 1))
    assert refused(
        account.sagemaker.create_endpoint, EndpointName="large", EndpointConfigName="large"
    ) == (
        "The account-level service limit 'Memory size in MB per serverless endpoint' is 3072 MBs, "
        "with current utilization of 0 MBs and a request delta of 4096 MBs. Please use AWS Service "
        "Quotas to request an increase for this quota. If AWS Service Quotas is not available, "
        "contact AWS support to request an increase for this quota."
    )


def test_concurrency_of_all_serverless_endpoints_together_is_ten(account: StandIn) -> None:
    account.create_endpoint("five", **serverless(3072, 5))
    account.create_config("six", "model", **serverless(3072, 6))
    message = refused(
        account.sagemaker.create_endpoint, EndpointName="six", EndpointConfigName="six"
    )
    assert "across all serverless endpoints' is 10" in message
    account.create_config("eleven", "model", **serverless(3072, 11))
    refused(account.sagemaker.update_endpoint, EndpointName="five", EndpointConfigName="eleven")
    account.sagemaker.update_endpoint(EndpointName="five", EndpointConfigName="six")
    assert account.settled("five")["EndpointConfigName"] == "six"


def test_there_are_no_instances(account: StandIn) -> None:
    account.create_config("machine", "model", InstanceType="ml.m5.xlarge", InitialInstanceCount=1)
    sagemaker = account.sagemaker
    endpoint = {"EndpointName": "machine", "EndpointConfigName": "machine"}
    calls = (
        ("endpoint usage", sagemaker.create_endpoint, endpoint),
        ("transform job usage", sagemaker.create_transform_job, job_request("job", "model")),
        ("training job usage", sagemaker.create_training_job, training_request("job", "score")),
        (
            "training job usage",
            sagemaker.create_hyper_parameter_tuning_job,
            tuning_request("search"),
        ),
    )
    for usage, call, request in calls:
        message = refused(call, **request)
        assert f"for {usage}' is 0 Instances, with current utilization of 0" in message
