"""Contract: a stack's bucket keeps its encryption, and under SSE-KMS no ETag is an MD5."""

from __future__ import annotations

import hashlib

from tests.integration.emulator.emulator_harness import Emulator, outputs

KEY_ARN = "arn:aws:kms:us-east-1:000000000000:key/1"
BODY = b"a dog"
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
RULE = {
    "BucketKeyEnabled": True,
    "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY_ARN},
}
TEMPLATE = {
    "Resources": {
        "Encrypted": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "VersioningConfiguration": {"Status": "Enabled"},
                "BucketEncryption": {"ServerSideEncryptionConfiguration": [RULE]},
            },
        },
        "Plain": {"Type": "AWS::S3::Bucket"},
    },
    "Outputs": outputs(Encrypted={"Ref": "Encrypted"}, Plain={"Ref": "Plain"}),
}


def test_etag_is_an_md5_only_where_kms_does_not_encrypt(emulator: Emulator) -> None:
    buckets = emulator.deploy("etags", TEMPLATE)
    encrypted, plain = buckets["Encrypted"], buckets["Plain"]
    s3 = emulator.client("s3")

    rules = s3.get_bucket_encryption(Bucket=encrypted)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rules[0]["ApplyServerSideEncryptionByDefault"]
    assert default == RULE["ServerSideEncryptionByDefault"]
    assert rules[0]["BucketKeyEnabled"] is True

    first, second = (s3.put_object(Bucket=encrypted, Key="a", Body=BODY)["ETag"] for _ in range(2))
    assert MD5 not in first + second
    assert first != second
    assert s3.head_object(Bucket=encrypted, Key="a")["ETag"] == second
    (listed,) = s3.list_objects_v2(Bucket=encrypted)["Contents"]
    assert listed["ETag"] == second
    versions = s3.list_object_versions(Bucket=encrypted)["Versions"]
    assert {each["ETag"] for each in versions} == {first, second}

    assert s3.put_object(Bucket=plain, Key="a", Body=BODY)["ETag"].strip('"') == MD5
    asked = s3.put_object(
        Bucket=plain, Key="b", Body=BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId=KEY_ARN
    )
    assert asked["ETag"].strip('"') != MD5
