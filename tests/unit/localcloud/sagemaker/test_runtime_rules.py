"""InvokeEndpoint's rules, with a container that exists in memory only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from localcloud.sagemaker.container_client import Answer, ContainerConnectionError
from localcloud.sagemaker.endpoints import Variant
from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.runtime import Invocation, Runtime
from localcloud.sagemaker.state import Identity


class FakeClient:
    """Answers "ok", or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.headers: dict[str, str] = {}

    async def request(self, _method: str, **arguments: Any) -> Answer:
        self.headers = arguments["headers"]
        if self._error is not None:
            raise self._error
        return Answer(200, {"content-type": "text/plain", "server": "x"}, b"ok")


class FakeContainer:
    def __init__(self, client: FakeClient | None) -> None:
        self.client = client


class FakeEndpoints:
    """Runs the one variant, if there is one."""

    def __init__(self, variant: Variant | None, *, known: bool) -> None:
        self._variant, self._known = variant, known

    def running(self, _name: str) -> Variant | None:
        return self._variant

    def serves(self, _name: str) -> bool:
        return self._known


def variant(error: Exception | None = None) -> Variant:
    container: Any = FakeContainer(FakeClient(error))
    return Variant("A", container, max_concurrency=1)


async def _read(_max_bytes: int) -> bytes:
    return b"x"


def invoke(
    running: Variant | None = None, *, known: bool = True, **headers: str
) -> tuple[dict[str, str], bytes]:
    runtime = Runtime(FakeEndpoints(running, known=known), Identity())
    wire = {f"x-amzn-sagemaker-{k.replace('_', '-')}": v for k, v in headers.items()}
    return asyncio.run(runtime.invoke(Invocation("dogs", "id", wire, 1, _read)))


def refusal(running: Variant | None = None, *, known: bool = True) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        invoke(running, known=known)
    return caught.value


def test_only_the_headers_of_the_api_go_either_way() -> None:
    only = variant()
    headers, body = invoke(only, custom_attributes="a", secret="b")
    client: Any = only.container.client
    assert client.headers == {"x-amzn-sagemaker-custom-attributes": "a"}
    assert headers == {"content-type": "text/plain", "x-amzn-invoked-production-variant": "A"}
    assert body == b"ok"


def test_no_answer_in_time_is_a_model_error_with_status_0() -> None:
    error = refusal(variant(error=TimeoutError()))
    assert (error.code, error.status) == ("ModelError", 424)
    assert error.fields["OriginalStatusCode"] == 0
    assert error.message.startswith(
        'Received server error (0) from primary with message "Your invocation timed out while '
        "waiting for a response from container primary."
    )


def test_connection_lost_is_a_model_error() -> None:
    error = refusal(variant(error=ContainerConnectionError("gone")))
    assert error.code == "ModelError"
    assert "model process exited" in error.message


def test_failed_calls_do_not_use_up_the_concurrency() -> None:
    failing = variant(error=TimeoutError())
    for _ in range(3):
        assert refusal(failing).code == "ModelError"
    assert failing.in_flight == 0


def test_container_that_is_down_is_a_passing_failure() -> None:
    down = variant()
    down.container = FakeContainer(None)  # type: ignore[assignment]
    assert (refusal(down).code, refusal(down).status) == ("ServiceUnavailable", 503)


def test_endpoint_without_a_variant_is_unavailable_or_unknown() -> None:
    assert refusal(known=True).code == "ServiceUnavailable"
    assert refusal(known=False).code == "ValidationError"
