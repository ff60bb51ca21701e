"""What the API answers to an invalid request, and while AWS is busy."""

from __future__ import annotations

import json

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import BadRequestError

from pipeline.api_requests import InvalidRequestError
from pipeline.errors import TransientError

logger = Logger()


def add_to(app: APIGatewayHttpResolver) -> None:
    app.exception_handler(InvalidRequestError)(_invalid)
    app.exception_handler(TransientError)(_busy)


def _invalid(error: InvalidRequestError) -> Response[str]:
    raise BadRequestError(str(error))


def _busy(error: TransientError) -> Response[str]:
    logger.warning("busy", extra={"error": str(error)})
    body = json.dumps({"statusCode": 503, "message": "AWS is busy; try again in a second."})
    return Response(503, "application/json", body, headers={"Retry-After": "1"})
