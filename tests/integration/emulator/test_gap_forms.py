"""Contract: with IAM enforced, a policy for presigned forms lets forms in, and nothing else."""

from __future__ import annotations

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.integration.emulator.emulator_harness import Emulator, outputs

FORMS_ALONE = {"StringEquals": {"s3:authType": "POST", "s3:signatureversion": "AWS4-HMAC-SHA256"}}


def test_a_role_for_forms_writes_by_a_form_and_not_by_a_request(strict: Emulator) -> None:
    template = {
        "Resources": {
            "Bucket": {"Type": "AWS::S3::Bucket"},
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": {"AWS": "*"},
                                "Action": "sts:AssumeRole",
                            }
                        ],
                    },
                    "Policies": [
                        {
                            "PolicyName": "forms",
                            "PolicyDocument": {
                                "Version": "2012-10-17",
                                "Statement": [
                                    {
                                        "Effect": "Allow",
                                        "Action": "s3:PutObject",
                                        "Resource": {"Fn::Sub": "${Bucket.Arn}/*"},
                                        "Condition": FORMS_ALONE,
                                    }
                                ],
                            },
                        }
                    ],
                },
            },
        },
        "Outputs": outputs(Bucket={"Ref": "Bucket"}, Role={"Fn::GetAtt": ["Role", "Arn"]}),
    }
    stack = strict.deploy("forms", template)
    sts = strict.client("sts")
    session = sts.assume_role(RoleArn=stack["Role"], RoleSessionName="form")["Credentials"]
    s3 = boto3.client(
        "s3",
        endpoint_url=sts.meta.endpoint_url,
        region_name=sts.meta.region_name,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
        config=Config(signature_version="s3v4"),
    )
    form = s3.generate_presigned_post(stack["Bucket"], "a.jpg")
    answer = httpx.post(form["url"], data=form["fields"], files={"file": ("a", b"x")})
    assert answer.status_code == 204, answer.text
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=stack["Bucket"], Key="b.jpg", Body=b"x")
