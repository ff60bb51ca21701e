"""The HTTP statuses of errors whose message is for the caller of the API."""

from __future__ import annotations

from http import HTTPStatus

from api.requests import InvalidRequestError, UnknownIdError
from pipeline.errors import NoExplanationError
from pipeline.queries import NoSuchOrderError
from pipeline.review import ReviewConflictError

STATUSES: dict[type[Exception], HTTPStatus] = {
    UnknownIdError: HTTPStatus.NOT_FOUND,
    NoExplanationError: HTTPStatus.NOT_FOUND,
    InvalidRequestError: HTTPStatus.BAD_REQUEST,
    NoSuchOrderError: HTTPStatus.BAD_REQUEST,
    ReviewConflictError: HTTPStatus.CONFLICT,
}
