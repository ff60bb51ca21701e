"""InvokeEndpoint's rules, with a container that exists in memory only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from localcloud.sagemaker.container_client import Answer, ContainerConnectionError, Upload
from localcloud.sagemaker.endpoints import Variant
from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.identity import Identity
from localcloud.sagemaker.runtime import Invocation, Runtime


class FakeClient:
    """Answers with its name, or raises."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self._name, self._error = name, error
        self.headers: list[tuple[bytes, bytes]] = []

    async def request(self, _method: bytes, **arguments: Any) -> Answer:
        self.headers = arguments["headers"]
        if self._error is not None:
            raise self._error
        return Answer(200, {b"content-type": b"text/plain", b"server": b"x"}, bytearray(b"ok"))


class FakeContainer:
    def __init__(self, client: FakeClient | None) -> None:
        self.client = client


def variant(name: str = "A", weight: float = 1.0, error: Exception | None = None) -> Variant:
    container: Any = FakeContainer(FakeClient(name, error))
    return Variant(name, container, weight, max_concurrency=1)


async def _nothing() -> AsyncIterator[bytes]:
    yield b"x"


def invoke(
    *variants: Variant, known: bool = True, **headers: str
) -> tuple[dict[bytes, bytes], bytes]:
    runtime = Runtime({"dogs": list(variants)}, Identity())
    wire = {
        f"x-amzn-sagemaker-{k.replace('_', '-')}".encode(): v.encode() for k, v in headers.items()
    }
    request = Invocation("dogs", "id", wire, Upload(_nothing(), 1))
    answer_headers, body = asyncio.run(runtime.invoke(request, known=known))
    return dict(answer_headers), bytes(body)


def refusal(*variants: Variant, known: bool = True, **headers: str) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        invoke(*variants, known=known, **headers)
    return caught.value


def test_only_the_headers_of_the_api_go_either_way() -> None:
    only = variant()
    headers, body = invoke(only, custom_attributes="a", target_variant="A", secret="b")
    client: Any = only.container.client
    assert client.headers == [(b"x-amzn-sagemaker-custom-attributes", b"a")]
    assert headers == {b"content-type": b"text/plain", b"x-amzn-invoked-production-variant": b"A"}
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


def test_endpoint_without_variants_is_unavailable_or_unknown() -> None:
    assert refusal(known=True).code == "ServiceUnavailable"
    assert refusal(known=False).code == "ValidationError"


def test_target_variant_is_the_one_that_answers() -> None:
    pair = (variant("A"), variant("B"))
    for name in ("A", "B"):
        headers, _ = invoke(*pair, target_variant=name)
        assert headers[b"x-amzn-invoked-production-variant"] == name.encode()
    assert refusal(*pair, target_variant="C").code == "ValidationError"


def test_weight_zero_gets_no_traffic() -> None:
    pair = (variant("A", weight=0.0), variant("B"))
    seen = {invoke(*pair)[0][b"x-amzn-invoked-production-variant"] for _ in range(50)}
    assert seen == {b"B"}
