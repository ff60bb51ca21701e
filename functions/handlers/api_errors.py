"""The API's answers to errors: problems, each with its status and what to do."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError

from api.answers import PROBLEM_TYPE, ApiProblem, problem_json
from api.description import methods_of
from api.statuses import STATUSES
from imaging.decoder import DecoderError
from pipeline.adapters.service_errors import reason_of
from pipeline.answers import InvalidAnswerError
from pipeline.errors import SpecMismatchError, TransientError

logger = Logger()


def add_to(app: APIGatewayHttpResolver) -> None:
    def no_route(_error: NotFoundError) -> Response[str]:
        path = app.current_event.path
        allowed = methods_of(path)
        if not allowed or app.current_event.http_method in allowed:  # no id has such characters
            return _problem(HTTPStatus.NOT_FOUND, f"there is no {path}; see /openapi.json")
        detail = f"{path} takes {', '.join(allowed)}"
        return _problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, {"Allow": ", ".join(allowed)})

    app.exception_handler(NotFoundError)(no_route)
    app.exception_handler(ApiProblem)(lambda error: _problem(error.status, error.detail))
    for kind, status in STATUSES.items():
        app.exception_handler(kind)(partial(_said, status))
    app.exception_handler(TransientError)(_busy)
    for each in (DecoderError, InvalidAnswerError, SpecMismatchError):
        app.exception_handler(each)(_unanswered)


def _problem(
    status: HTTPStatus, detail: str, headers: dict[str, str | list[str]] | None = None
) -> Response[str]:
    return Response(status.value, PROBLEM_TYPE, problem_json(status, detail), headers=headers)


def _said(status: HTTPStatus, error: Exception) -> Response[str]:
    return _problem(status, str(error))


def _busy(error: TransientError) -> Response[str]:
    logger.warning("busy", extra={"error": str(error)})
    detail = "AWS is busy; try again in a second."
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})


def _unanswered(error: Exception) -> Response[str]:
    logger.error("unanswered", extra={"reason": reason_of(error), "error": str(error)})
    detail = "the decoder or the model failed on this image; try again in a second."
    return _problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
