"""The page, served by the stack itself where the API takes tokens. These routes ask for none."""

from __future__ import annotations

from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from api.answers import ApiProblem
from handlers import wiring
from page.files import PageFile, read_page_file
from page.sign_in import IssuerError, read_address
from page.stack_host import StackHost, stack_host

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]  # Powertools'


@router.get("/")
def page() -> Response[str]:
    return _served(_host(), read_page_file(""))


@router.get("/page/<name>")
def asset(name: str) -> Response[str]:
    return _served(_host(), read_page_file(f"page/{name}"))


@router.get("/host.json")
def host_facts() -> Response[str]:
    host = _host()
    return _served(host, host.facts())


def _served(host: StackHost, file: PageFile | None) -> Response[str]:
    if file is None:
        raise ApiProblem(HTTPStatus.NOT_FOUND, "the page has no such file")
    return Response(200, file.content_type, file.content.decode(), headers=host.headers(file))


def _host() -> StackHost:
    settings = wiring.settings
    issuer = settings.jwt_issuer_and_audience
    if not issuer:
        raise ApiProblem(HTTPStatus.NOT_FOUND, "this stack accepts no tokens: use imagedrop page")
    try:
        return stack_host(settings.region, settings.images_bucket, issuer, read_address)
    except IssuerError as error:
        raise ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
