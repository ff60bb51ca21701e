"""The translated template deploys into moto's CloudFormation, an independent implementation.

moto supports neither SAM nor custom resources: the template is translated, its conditions
are decided, and the custom resources' attributes are filled in.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tools.scanners import STATE_MACHINE, decided
from tools.template import load, translate

pytestmark = pytest.mark.slow

# So that the template's conditions are those of `tools.scanners.AS_DEPLOYED`.
PARAMETERS = {
    "AlarmEmail": "me@example.org",
    "BulkSourceBucket": "other",
    "SecurityGroupIds": "sg-1",
    "SubnetIds": "subnet-1",
}
ATTRIBUTES = {
    "ImageSpec": "{}",
    "ImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/serving:1",
    "ModelDataUrl": "s3://models/models/dogs/model.tar.gz",
    "DefaultModelDataUrl": "s3://models/models/dogs/model.tar.gz",
}


@pytest.fixture
def code() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handlers/classify.py", "")
    return archive.getvalue()


def test_every_resource_is_created(code: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    template = without_custom_resources(decided(translate(load())))
    (variant,) = template["Resources"]["EndpointConfig"]["Properties"]["ProductionVariants"]
    variant["ServerlessConfig"]["MemorySizeInMB"] = 2048  # CloudFormation makes the text a number
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="code-bucket")
        s3.put_object(Bucket="code-bucket", Key="functions", Body=code)
        # moto's parser of state machines wants a float.
        definition = STATE_MACHINE.read_text().replace(
            '"ToleratedFailurePercentage": 100', '"ToleratedFailurePercentage": 100.0'
        )
        s3.put_object(Bucket="code-bucket", Key="bulk.asl.json", Body=definition.encode())
        cloudformation = boto3.client("cloudformation", region_name="us-east-1")
        cloudformation.create_stack(
            StackName="imagedrop",
            TemplateBody=json.dumps(template),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in PARAMETERS.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        (stack,) = cloudformation.describe_stacks(StackName="imagedrop")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        assert outputs.keys() == template["Outputs"].keys()
        assert outputs["ImagesBucketName"].startswith("imagedrop-images-")


def without_custom_resources(template: dict[str, Any]) -> dict[str, Any]:
    """Removes them, and gives a value to everything that refers to them."""
    custom = {
        name for name, each in template["Resources"].items() if each["Type"].startswith("Custom::")
    }
    resources = {
        name: {key: value for key, value in each.items() if key != "DependsOn"}
        for name, each in template["Resources"].items()
        if name not in custom
    }
    filled: dict[str, Any] = _filled(template | {"Resources": resources}, custom)
    return filled


def _filled(value: Any, custom: set[str]) -> Any:
    match value:
        case {"Fn::GetAtt": [str(name), str(attribute)]} if name in custom:
            return ATTRIBUTES[attribute]
        case dict():
            return {key: _filled(item, custom) for key, item in value.items()}
        case list():
            return [_filled(item, custom) for item in value]
        case _:
            return value
