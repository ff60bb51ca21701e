"""``ApiFunction``: the predictions over HTTP."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import BadRequestError, NotFoundError

from handlers import wiring
from pipeline import clients
from pipeline.api_requests import InvalidRequestError, ListRequest, image_from_id, with_id
from pipeline.errors import TransientError
from registry.served_model import served_model

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Another model is promoted once a week or so; asking which one answers takes four calls.
LABELS_SECONDS = 60

logger = Logger()
app = APIGatewayHttpResolver()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)


@app.get("/predictions")
def list_predictions() -> dict[str, Any]:
    asked = ListRequest.parse(app.current_event.query_string_parameters or {})
    page = wiring.predictions_table().list(asked.query, limit=asked.limit, cursor=asked.cursor)
    return {"predictions": [with_id(each) for each in page.records], "cursor": page.cursor}


@app.get("/predictions/<prediction_id>")
def get_prediction(prediction_id: str) -> dict[str, Any]:
    image = image_from_id(prediction_id)
    record = wiring.predictions_table().get(image)
    if record is None:
        raise NotFoundError(f"no prediction of {image}")
    return with_id(record)


@app.get("/labels")
def list_labels() -> dict[str, Any]:
    return _model_labels(int(time.monotonic() // LABELS_SECONDS))


@app.get("/health")
def health() -> dict[str, str]:
    wiring.predictions_table().get("health")
    return {"status": "ok"}


@app.exception_handler(InvalidRequestError)  # type: ignore[untyped-decorator]  # Powertools'
def invalid(error: InvalidRequestError) -> Response[str]:
    raise BadRequestError(str(error))


@app.exception_handler(TransientError)  # type: ignore[untyped-decorator]  # Powertools'
def busy(error: TransientError) -> Response[str]:
    logger.warning("busy", extra={"error": str(error)})
    body = json.dumps({"statusCode": 503, "message": "AWS is busy; try again in a second."})
    return Response(503, "application/json", body, headers={"Retry-After": "1"})


@lru_cache(maxsize=1)
def _model_labels(_period: int) -> dict[str, Any]:
    """What the model behind the endpoint can answer; looked up again in each period."""
    model = served_model(
        clients.client("sagemaker"), clients.client("s3"), wiring.settings.endpoint_name
    )
    return {"model": model.card.identity, "labels": model.card.answers}
