"""``ApiFunction``: the predictions over HTTP. ``pipeline.api_requests`` parses the requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from handlers import api_errors, wiring
from pipeline import clients
from pipeline.api_requests import ListRequest, image_from_id, with_id
from registry.served_labels import served_labels

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
app = APIGatewayHttpResolver()
api_errors.add_to(app)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)


@app.get("/predictions")
def list_predictions() -> dict[str, Any]:
    event = app.current_event
    parameters = event.query_string_parameters or {}
    asked = ListRequest.parse(parameters, event["rawQueryString"], datetime.now(UTC))
    table = wiring.predictions_table()
    return asked.answer(table.list(asked.query, limit=asked.limit, cursor=asked.before))


@app.get("/predictions/<prediction_id>")
def get_prediction(prediction_id: str) -> dict[str, Any]:
    image = image_from_id(prediction_id)
    record = wiring.predictions_table().get(image)
    if record is None:
        raise NotFoundError(f"no prediction of {image}")
    return with_id(record)


@app.get("/labels")
def list_labels() -> dict[str, Any]:
    endpoint_name = wiring.settings.endpoint_name
    return served_labels(clients.client("sagemaker"), clients.client("s3"), endpoint_name)


@app.get("/health")
def health() -> dict[str, str]:
    wiring.predictions_table().get("health")
    return {"status": "ok"}
