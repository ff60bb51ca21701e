"""The SDK's names for the members of a request."""

from __future__ import annotations

from .sdk_job import in_snake_case


def test_members_are_in_snake_case_all_the_way_down() -> None:
    request = {"InputDataConfig": [{"S3DataSource": {"S3Uri": "s3://b/a", "KmsKeyId": "k"}}]}
    assert in_snake_case(request) == {
        "input_data_config": [{"s3_data_source": {"s3_uri": "s3://b/a", "kms_key_id": "k"}}]
    }


def test_names_chosen_by_users_are_kept() -> None:
    assert in_snake_case({"HyperParameters": {"batch-Size": "16"}}) == {
        "hyper_parameters": {"batch-Size": "16"}
    }
