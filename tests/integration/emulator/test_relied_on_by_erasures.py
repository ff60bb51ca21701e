"""The emulator's conditions decide as DynamoDB's do, over the pipeline's own writes."""

from __future__ import annotations

from pipeline.table_items import from_item
from tests.integration.emulator.emulator_harness import Emulator
from tests.unit.exactness.test_erased_versions import (
    IMAGE,
    Delivery,
    History,
    OneRow,
    check,
    deliver,
    short_histories,
)


def test_erased_versions_end_in_the_truth_here_too(emulator: Emulator) -> None:
    dynamodb = emulator.client("dynamodb")
    dynamodb.create_table(
        TableName="erasures",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
    )
    try:
        for steps in short_histories(3):
            for order in ((0, 1, 2), (2, 1, 0), (2, 0, 1), (0, 2, 1)):
                dynamodb.delete_item(TableName="erasures", Key={"image": {"S": IMAGE}})
                deliveries = [Delivery(place) for place in (*order, order[0])]
                history, row = History(steps), OneRow()
                check(history, deliver(history, deliveries, dynamodb), (steps, order))
                deliver(history, deliveries, row)
                item = dynamodb.get_item(TableName="erasures", Key={"image": {"S": IMAGE}})["Item"]
                assert row.row is not None
                # As records: numbers come back shorter than they were written.
                assert from_item(item) == from_item(row.row), (steps, order)
                assert item["sequencer"] == row.row["sequencer"], (steps, order)
    finally:
        dynamodb.delete_table(TableName="erasures")
