"""Gap: CloudFormation drops a table's TTL, point-in-time recovery and encryption on create."""

from __future__ import annotations

from functools import partial
from typing import Any

from localcloud.emulator import patching

_LOOKS = {"create": "277586e016c6", "update": "0665980ffdd0"}


def install() -> None:
    """Apply those three settings after a stack has created or updated a table."""
    dynamodb = patching.module("services.dynamodb")
    patching.extend_resource("AWS::DynamoDB::Table", _LOOKS, then=partial(_apply, dynamodb))


def _apply(dynamodb: Any, table_name: str, props: dict[str, Any]) -> None:
    table = dynamodb._tables[table_name]
    encryption = props.get("SSESpecification") or {}
    # DynamoDB's API says Enabled where CloudFormation says SSEEnabled.
    table["SSEDescription"] = dynamodb._sse_description_from_spec(
        {**encryption, "Enabled": _true(encryption.get("SSEEnabled"))} if encryption else None
    )
    recovery = props.get("PointInTimeRecoverySpecification") or {}
    dynamodb._pitr_settings[table_name] = _true(recovery.get("PointInTimeRecoveryEnabled"))
    ttl = props.get("TimeToLiveSpecification") or {}
    if ttl:
        dynamodb._ttl_settings[table_name] = {
            "TimeToLiveStatus": "ENABLED" if _true(ttl.get("Enabled", True)) else "DISABLED",
            "AttributeName": ttl.get("AttributeName", ""),
        }
    else:
        dynamodb._ttl_settings.pop(table_name, None)


def _true(value: Any) -> bool:
    # Template parameters turn booleans into strings.
    return str(value).lower() == "true"
