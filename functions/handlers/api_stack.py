"""The stack itself: its health, its labels, and the description of its API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from api.description import description
from api.requests import DEFAULT_DAYS, DRIFT_DAYS, days_asked
from changes.drift import days_until, drift, first_counted
from handlers import wiring
from pipeline import clients
from registry.served_labels import served_card, served_labels

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools'


@router.get("/labels")
def list_labels() -> dict[str, Any]:
    endpoint_name = wiring.settings.endpoint_name
    return served_labels(clients.client("sagemaker"), clients.client("s3"), endpoint_name)


@router.get("/summary")
def get_summary() -> dict[str, Any]:
    first, *_ = _days(DEFAULT_DAYS)
    return {"days": wiring.journal_table().days(first)}


@router.get("/drift")
def get_drift() -> dict[str, Any]:
    judged = _days(DRIFT_DAYS)
    counted = wiring.journal_table().drops(first_counted(judged))
    endpoint_name = wiring.settings.endpoint_name
    card = served_card(clients.client("sagemaker"), clients.client("s3"), endpoint_name)
    return {"compared": list(drift(counted, judged, card))}


def _days(default: int) -> list[str]:
    event = router.current_event
    days = days_asked(event.query_string_parameters or {}, event["rawQueryString"], default)
    return days_until(datetime.now(UTC), days)


@router.get("/health")
def health() -> dict[str, str]:
    wiring.predictions_table().get("health")
    return {"status": "ok"}


@router.get("/openapi.json")
def openapi() -> dict[str, Any]:
    return description()
