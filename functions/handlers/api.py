"""``ApiFunction``: the predictions over HTTP."""

from __future__ import annotations

import base64
import binascii
import json
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import BadRequestError, NotFoundError

from handlers import wiring
from pipeline.adapters.predictions_table import Query
from pipeline.errors import TransientError
from pipeline.records import Record, Status

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
# Another model is promoted once a week or so; asking which one answers takes four calls.
LABELS_SECONDS = 60

logger = Logger()
app = APIGatewayHttpResolver()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)


@app.get("/predictions")
def list_predictions() -> dict[str, Any]:
    parameters = app.current_event.query_string_parameters or {}
    page = wiring.predictions_table().list(
        query_from(parameters), limit=_limit(parameters), cursor=parameters.get("cursor")
    )
    return {"predictions": [with_id(each) for each in page.records], "cursor": page.cursor}


@app.get("/predictions/<prediction_id>")
def get_prediction(prediction_id: str) -> dict[str, Any]:
    try:
        image = image_from_id(prediction_id)
    except ValueError:
        raise BadRequestError("an id is what /predictions calls id") from None
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


@app.exception_handler(TransientError)  # type: ignore[untyped-decorator]  # Powertools'
def busy(error: TransientError) -> Response[str]:
    logger.warning("busy", extra={"error": str(error)})
    body = {"statusCode": 503, "message": "AWS is busy; try again in a second."}
    headers: dict[str, str | list[str]] = {"Retry-After": "1"}
    return Response(503, "application/json", json.dumps(body), headers=headers)


@lru_cache(maxsize=1)
def _model_labels(_period: int) -> dict[str, Any]:
    """What the model behind the endpoint can answer; asked again when another period begins."""
    model = wiring.served_model()
    return {"model": model.identity, "labels": model.labels}


def query_from(parameters: dict[str, str]) -> Query:
    """
    Raises:
        BadRequestError: an unknown status, or a confidence that is no number in 0..1.
    """
    try:
        status = Status(parameters["status"].upper()) if "status" in parameters else None
    except ValueError:
        raise BadRequestError(f"status is one of {', '.join(Status)}") from None
    return Query(
        label=parameters.get("label"),
        status=status,
        min_confidence=_confidence(parameters),
        since=parameters.get("since"),
    )


def _confidence(parameters: dict[str, str]) -> float | None:
    if "min_confidence" not in parameters:
        return None
    try:
        value = float(parameters["min_confidence"])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BadRequestError("min_confidence is a number from 0 to 1")
    return value


def _limit(parameters: dict[str, str]) -> int:
    text = parameters.get("limit", str(DEFAULT_LIMIT))
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise BadRequestError(f"limit is a whole number from 1 to {MAX_LIMIT}")
    return int(text)


def with_id(record: Record) -> dict[str, Any]:
    return {"id": id_of(record.image)} | record.to_json()


def id_of(image: str) -> str:
    """The image's address, safe in a URL path whatever characters its key holds."""
    return base64.urlsafe_b64encode(image.encode()).decode().rstrip("=")


def image_from_id(prediction_id: str) -> str:
    """
    Raises:
        ValueError: it is no id.
    """
    padded = prediction_id + "=" * (-len(prediction_id) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("not an id") from error
