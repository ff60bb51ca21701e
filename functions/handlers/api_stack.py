"""The stack itself: its health, its labels, and the description of its API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from handlers import wiring
from pipeline import clients
from pipeline.api_description import description
from pipeline.api_requests import summary_days
from registry.served_labels import served_labels

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools'


@router.get("/labels")
def list_labels() -> dict[str, Any]:
    endpoint_name = wiring.settings.endpoint_name
    return served_labels(clients.client("sagemaker"), clients.client("s3"), endpoint_name)


@router.get("/summary")
def get_summary() -> dict[str, Any]:
    event = router.current_event
    days = summary_days(event.query_string_parameters or {}, event["rawQueryString"])
    first = datetime.now(UTC) - timedelta(days=days - 1)
    return {"days": wiring.journal_table().days(f"{first:%Y-%m-%d}")}


@router.get("/health")
def health() -> dict[str, str]:
    wiring.predictions_table().get("health")
    return {"status": "ok"}


@router.get("/openapi.json")
def openapi() -> dict[str, Any]:
    return description()
