"""Bulk runs and models, for people to look at."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from api.answers import ApiProblem
from handlers import api_wiring, wiring
from pipeline.clients import client
from registry.listed_models import listed_models

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools'


@router.get("/runs")
def list_runs() -> dict[str, Any]:
    return {"runs": api_wiring.listed_runs().newest()}


@router.get("/runs/<name>")
def get_run(name: str) -> dict[str, Any]:
    run = api_wiring.listed_runs().one(name)
    if run is None:
        raise ApiProblem(HTTPStatus.NOT_FOUND, f"there is no run {name}")
    return run


@router.get("/models")
def list_models() -> dict[str, Any]:
    settings = wiring.settings
    default_url = settings.default_model_data_url
    found = listed_models(client("sagemaker"), client("s3"), settings.endpoint_name, default_url)
    return {"models": found}
