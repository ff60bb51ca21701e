"""Only the page itself, opened from its secret address, can use the loopback server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.page.browsers import Site, hosted, target_of
from tests.page.stand_in import StandIn


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


def test_the_pages_calls_reach_the_api_signed(
    api: StandIn, address: str, http: httpx.Client
) -> None:
    answer = http.get(f"{address}api/predictions", params={"limit": "2", "label": "pug"})
    assert [row["label"] for row in answer.json()["predictions"]] == ["pug", "pug"]
    assert api.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=test/")
    assert "/us-east-1/execute-api/aws4_request" in api.headers["authorization"]


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "evil.example"}, id="a name that leads to 127.0.0.1"),
        pytest.param({"Host": "localhost"}, id="another name of this machine"),
        pytest.param({"Origin": "https://evil.example"}, id="another page's script"),
        pytest.param({"Origin": "null"}, id="a sandboxed frame"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="another page's picture"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, id="another port of this machine"),
        pytest.param(
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, id="a link to data"
        ),
    ],
)
def test_another_pages_requests_are_refused(
    address: str, http: httpx.Client, headers: dict[str, str]
) -> None:
    answer = http.get(f"{address}api/predictions", headers=headers)
    assert answer.status_code in (403, 421)
    assert "predictions" not in answer.json()


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://127.0.0.1:1"])
def test_another_page_cannot_write(
    api: StandIn, address: str, http: httpx.Client, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    for method in ("PUT", "POST"):
        answer = http.request(
            method, f"{address}api/images/x/review", json={"action": "confirm"}, headers=headers
        )
        assert answer.status_code == 403
    assert api.asked == []


@pytest.mark.parametrize("token", ["", "wrong/", "../", "%00/", "a" * 32 + "/"])
def test_without_the_token_there_is_nothing(
    api: StandIn, address: str, http: httpx.Client, token: str
) -> None:
    root = f"http://{urlsplit(address).netloc}/"
    for path in ("", "api/predictions", "page/app.js", "host.json"):
        assert http.get(root + token + path).status_code == 404
    assert api.asked == []


@pytest.mark.parametrize(
    "path", ["page/files.py", "page/../files.py", "page/%2e%2e/files.py", "app.js", "page/", "x"]
)
def test_only_the_pages_own_files_are_served(address: str, http: httpx.Client, path: str) -> None:
    assert http.get(address + path).status_code == 404


@pytest.mark.parametrize("path", ["../../secrets", "%2e%2e/x", "a/../b", "http://elsewhere/"])
def test_a_call_cannot_leave_the_api(api: StandIn, address: str, path: str) -> None:
    # Not by httpx, which would tidy the path.
    found = urlsplit(address)
    raw = (
        f"GET {found.path}api/{path} HTTP/1.1\r\nHost: {found.netloc}\r\nConnection: close\r\n\r\n"
    )
    import socket  # noqa: PLC0415

    with socket.create_connection((found.hostname, found.port)) as connection:
        connection.sendall(raw.encode())
        answer = connection.recv(1000)
    assert answer.split()[1] in (b"400", b"404")
    assert all("secrets" not in asked[1] and "elsewhere" not in asked[1] for asked in api.asked)


def test_a_large_body_is_refused(api: StandIn, address: str, http: httpx.Client) -> None:
    origin = f"http://{urlsplit(address).netloc}"
    answer = http.post(f"{address}api/uploads", content=bytes(100_000), headers={"Origin": origin})
    assert answer.status_code == 413
    assert api.asked == []


def test_every_answer_forbids_frames_sniffing_and_foreign_scripts(
    address: str, http: httpx.Client
) -> None:
    for path in ("", "page/app.js", "api/labels", "nothing"):
        headers = http.get(address + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_an_api_that_is_away_is_named(api: StandIn, http: httpx.Client) -> None:
    with hosted(target_of(StandIn(url="http://127.0.0.1:9"))) as address:
        answer = http.get(f"{address}api/predictions")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert "127.0.0.1:9" in answer.json()["detail"]


def test_a_script_of_another_page_cannot_read_the_server(
    opened: Site, api: StandIn, address: str
) -> None:
    """In a real browser, from a real other origin, with the token stolen."""
    other = opened.page.context.new_page()
    other.goto("data:text/html,<title>evil</title>")
    for path in ("", "api/predictions", "page/app.js"):
        outcome = other.evaluate(
            "url => fetch(url).then(r => r.text(), error => 'refused: ' + error)", address + path
        )
        assert outcome.startswith("refused"), path
    other.evaluate(
        """url => new Promise(done => {
            const image = new Image();
            image.onload = image.onerror = done;
            image.src = url;
        })""",
        f"{address}api/images/x/thumbnail",
    )
    other.evaluate(
        "url => fetch(url, {method: 'POST', mode: 'no-cors', body: '{}'}).catch(() => null)",
        f"{address}api/uploads",
    )
    assert api.asked == []
    other.close()


def test_a_frame_of_another_page_stays_empty(opened: Site, address: str) -> None:
    other = opened.page.context.new_page()
    other.set_content(f'<iframe src="{address}"></iframe>')
    other.wait_for_timeout(300)
    assert all("imagedrop" not in (frame.title() or "") for frame in other.frames[1:])
    other.close()
