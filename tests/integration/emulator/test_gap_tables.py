"""Contract: a stack's table has the TTL, recovery and encryption that the template asks for."""

from __future__ import annotations

from tests.integration.emulator.emulator_harness import Emulator, outputs


def test_table_has_ttl_recovery_and_encryption_of_the_template(emulator: Emulator) -> None:
    template = {
        "Resources": {
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "BillingMode": "PAY_PER_REQUEST",
                    "KeySchema": [{"AttributeName": "image", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "image", "AttributeType": "S"}],
                    "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
                    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                    "SSESpecification": {"SSEEnabled": True},
                },
            }
        },
        "Outputs": outputs(Table={"Ref": "Table"}),
    }

    table = emulator.deploy("tables", template)["Table"]

    dynamodb = emulator.client("dynamodb")
    ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    assert recovery == "ENABLED"
    description = dynamodb.describe_table(TableName=table)["Table"]
    assert description["SSEDescription"]["Status"] == "ENABLED"
