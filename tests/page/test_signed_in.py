"""The page of the stack itself: people sign in at an issuer, and the page sends their token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from playwright.sync_api import expect

from handlers import wiring
from page.files import STATIC
from page.stack_host import stack_host
from pipeline.settings import Settings
from tests.page.browsers import Site
from tests.page.issuer import CLIENT, Issuer, issuing, signed_in_host
from tests.page.stand_in import StandIn


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as found:
        yield found


@pytest.fixture
def stack_address(api: StandIn, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    environment = {
        "AWS_REGION": "eu-west-1",
        "IMAGES_BUCKET": "photos",
        "JWT_ISSUER_AND_AUDIENCE": f"{issuer.url},{CLIENT}",
    }
    monkeypatch.setattr(wiring, "settings", Settings(environment))
    stack_host.cache_clear()
    with signed_in_host(api, issuer) as address:
        yield address


@pytest.fixture
def signed_in(opened: Site, stack_address: str) -> Site:
    return replace(opened, address=stack_address)


def test_people_sign_in_and_see_what_they_asked_for(
    signed_in: Site, api: StandIn, issuer: Issuer
) -> None:
    page = signed_in.go("gallery?label=pug")
    expect(page.locator(".card img.there").first).to_be_visible()
    assert page.url == f"{signed_in.address}#/gallery?label=pug"
    expect(page.locator("#place")).to_have_text("AWS, eu-west-1")
    expect(page.locator(".user")).to_have_text("alice@example.com")
    assert api.headers["authorization"] == f"Bearer {issuer.tokens[-1]}"
    assert issuer.refusals == []


def test_a_reload_signs_in_again_and_keeps_the_place(signed_in: Site, issuer: Issuer) -> None:
    page = signed_in.go("overview?days=7")
    expect(page.locator(".tile").first).to_be_visible()
    page.reload()
    expect(page.locator(".tile").first).to_be_visible()
    assert page.url.endswith("#/overview?days=7")
    assert len(issuer.tokens) == 2


def test_the_stacks_own_page_says_how_to_ask_for_the_cost(signed_in: Site) -> None:
    page = signed_in.go("overview")
    expect(page.locator(".tile code")).to_have_text("imagedrop cost --images 240")


def test_a_token_that_ends_is_renewed_without_leaving_the_page(
    signed_in: Site, issuer: Issuer
) -> None:
    issuer.lifetime_seconds = 30
    page = signed_in.go("gallery")
    expect(page.locator(".card").first).to_be_visible()
    page.evaluate("window.here = true")
    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("table")).to_be_visible()
    assert page.evaluate("window.here")
    assert len(issuer.tokens) > 1


def test_an_answer_with_another_state_is_not_taken(signed_in: Site, issuer: Issuer) -> None:
    """An attacker who lures a user to the page with their own code does not sign the user in."""
    page = signed_in.page
    issuer.codes["stolen"] = {"code_challenge": "x", "state": "y"}
    page.goto(f"{signed_in.address}?code=stolen&state=forged#/gallery")
    expect(page.locator(".card").first).to_be_visible()
    assert "stolen" in issuer.codes
    assert "code=" not in page.url


def test_the_token_is_stored_nowhere(signed_in: Site, issuer: Issuer) -> None:
    page = signed_in.go("gallery")
    expect(page.locator(".card").first).to_be_visible()
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert stored == "[{},{}]"
    assert page.context.cookies() == []


def test_the_policy_names_the_issuer_and_the_bucket(stack_address: str, issuer: Issuer) -> None:
    policy = httpx.get(stack_address, trust_env=False).headers["content-security-policy"]
    connect = next(part for part in policy.split("; ") if part.startswith("connect-src"))
    assert issuer.url in connect
    assert "https://photos.s3.eu-west-1.amazonaws.com" in connect
    assert "unsafe" not in policy


def test_without_a_token_the_api_says_nothing(stack_address: str) -> None:
    answer = httpx.get(f"{stack_address}api/predictions", trust_env=False)
    assert answer.status_code == 401


def test_scripts_asked_for_at_once_have_each_its_own_content(
    stack_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, inside, most_inside = APIGatewayHttpResolver.resolve, 0, 0

    def slow_resolve(*arguments: Any) -> dict[str, Any]:
        nonlocal inside, most_inside
        inside += 1
        most_inside = max(inside, most_inside)
        time.sleep(0.001)
        answer = resolve(*arguments)
        inside -= 1
        return answer

    monkeypatch.setattr(APIGatewayHttpResolver, "resolve", slow_resolve)
    scripts = {file.name: file.read_text() for file in STATIC.glob("*.js")}
    with (
        httpx.Client(base_url=stack_address, trust_env=False) as http,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = pool.map(lambda name: http.get(f"page/{name}").text, scripts)
        assert dict(zip(scripts, answers, strict=True)) == scripts
    assert most_inside == 1
