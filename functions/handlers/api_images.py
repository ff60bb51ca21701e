"""Images as people see them, and the forms for uploading them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from api.answers import if_none_match, is_known
from api.bodies import upload_request
from api.requests import ThumbnailRequest
from api.thumbnails import refuse_hidden, thumbnail_etag
from changes.row_changes import history_json
from handlers import api_wiring, wiring
from handlers.api_rows import found

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools'


@router.get("/images/<image_id>/thumbnail")
def get_thumbnail(image_id: str) -> Response[Any]:
    event = router.current_event
    asked = ThumbnailRequest.parse(event.query_string_parameters or {}, event["rawQueryString"])
    record = found(image_id)
    refuse_hidden(record)
    version = asked.version or record.version
    headers: dict[str, str | list[str]] = {"ETag": thumbnail_etag(image_id, version, asked.size)}
    if asked.version is not None:  # the address names the version, so its picture never changes
        headers["Cache-Control"] = "private, max-age=31536000, immutable"
    if is_known(str(headers["ETag"]), if_none_match(event.raw_event)):
        return Response(HTTPStatus.NOT_MODIFIED.value, body="", headers=headers)
    picture = api_wiring.thumbnails().of(record, version, asked.size)
    return Response(HTTPStatus.OK.value, "image/webp", picture, headers=headers)


@router.get("/images/<image_id>/history")
def get_history(image_id: str) -> dict[str, Any]:
    record = found(image_id)
    former = wiring.journal_table().history(record.image)
    return {"versions": [history_json(record), *former]}


@router.get("/images/<image_id>/explanation")
def get_explanation(image_id: str) -> dict[str, Any]:
    return api_wiring.explanations().of(found(image_id))


@router.post("/uploads")
def post_upload() -> dict[str, Any]:
    return api_wiring.upload_forms().form(upload_request(router.current_event.raw_event))
