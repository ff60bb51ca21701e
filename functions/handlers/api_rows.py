"""Rows of the predictions table: a list, a single row, and its review."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from api.answers import ApiProblem
from api.bodies import review_request
from api.requests import ListRequest, image_from_id, with_id
from api.trace import steps_of
from handlers import api_wiring, wiring
from pipeline.events import utc_now
from pipeline.records import Record

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools'


@router.get("/predictions")
def list_predictions() -> dict[str, Any]:
    event = router.current_event
    parameters = event.query_string_parameters or {}
    asked = ListRequest.parse(parameters, event["rawQueryString"], datetime.now(UTC))
    table = wiring.predictions_table()
    return asked.answer(table.list(asked.query, limit=asked.limit, cursor=asked.cursor))


@router.get("/predictions/<prediction_id>")
def get_prediction(prediction_id: str) -> dict[str, Any]:
    return with_id(found(prediction_id))


@router.get("/images/<image_id>/trace")
def get_trace(image_id: str) -> dict[str, Any]:
    return {"steps": steps_of(found(image_id))}


@router.put("/images/<image_id>/review")
def put_review(image_id: str) -> dict[str, Any]:
    image = image_from_id(image_id)
    request = review_request(router.current_event.raw_event, utc_now())
    done = api_wiring.reviews_table().review(image, request)
    row = with_id(_known(done.record if done else None, image))
    return row | {"undone": asdict(done.undone)} if done and done.undone else row


def found(image_id: str) -> Record:
    """Returns the record of an id; raises ApiProblem when there is none."""
    image = image_from_id(image_id)
    return _known(wiring.predictions_table().get(image), image)


def _known(record: Record | None, image: str) -> Record:
    if record is None:
        raise ApiProblem(HTTPStatus.NOT_FOUND, f"there is no prediction of {image}")
    return record
