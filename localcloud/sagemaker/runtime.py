"""SageMaker Runtime: InvokeEndpoint, forwarded to the endpoint's container.

Limits and messages are those seen from SageMaker itself:

* serverless, more than 4 MB: ``ValidationError`` 400 "Request … has oversize body."
  (aws/sagemaker-python-sdk#4271, developer guide "serverless-endpoints-invoke");
* instance, more than 6 MB: 413 without an error code, "HTTP content length exceeded … bytes."
  (aws/sagemaker-python-sdk#171; 6,291,456 is ``BodyBlob``'s maximum in the API model);
* no answer within 60 s: ``ModelError`` with original status 0, "Your invocation timed out …"
  (RamVegiraju/SageMaker-Deployment#3);
* container says 4xx or 5xx: ``ModelError`` 424 "Received client|server error (…) from primary …"
  (aws/sagemaker-python-sdk#2955);
* no container available at the moment: ``ServiceUnavailable`` 503, "A transient exception …".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from localcloud.sagemaker.container_client import (
    Answer,
    ContainerAnswerTooLargeError,
    ContainerClient,
    ContainerConnectionError,
)
from localcloud.sagemaker.endpoints import Endpoints, Variant
from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.state import Identity

SERVERLESS_PAYLOAD_BYTES = 4 * 1024 * 1024
INSTANCE_PAYLOAD_BYTES = 6_291_456
INVOCATION_TIMEOUT_SECONDS = 60.0
_FORWARDED = (
    *("content-type", "accept"),
    *("x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id"),
)
_RETURNED = ("content-type", "x-amzn-sagemaker-custom-attributes")
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
_EXITED = "An error occurred while handling request as the model process exited."


@dataclass(frozen=True, slots=True)
class Invocation:
    """One InvokeEndpoint request.

    Attributes:
        headers: names in lower case.
        content_length: declared size of the body in bytes; 0 when it is chunked.
        read: reads the body; takes the most bytes that it may have.
    """

    endpoint_name: str
    request_id: str
    headers: Mapping[str, str]
    content_length: int
    read: Callable[[int], Awaitable[bytes]]


class Runtime:
    """Answers InvokeEndpoint from the running variants."""

    def __init__(self, endpoints: Endpoints, identity: Identity) -> None:
        self._endpoints, self._identity = endpoints, identity

    async def invoke(self, invocation: Invocation) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the container's answer when its status is 2xx.

        Raises:
            ServiceError: in every other case.
        """
        variant = self._variant(invocation.endpoint_name)
        _check_size(invocation, invocation.content_length, serverless=variant.serverless)
        client = variant.container.client
        if client is None:
            raise _unavailable()
        limit = variant.max_concurrency
        if limit is not None and variant.in_flight >= limit:
            raise ServiceError("ThrottlingException", "Rate exceeded", 429)
        variant.in_flight += 1
        try:
            answer = await self._ask(client, invocation, variant)
        finally:
            variant.in_flight -= 1
        if not 200 <= answer.status < 300:
            message = answer.body.decode("utf-8", "replace")
            raise self._model_error(invocation, answer.status, message)
        headers = {name: answer.headers[name] for name in _RETURNED if name in answer.headers}
        return headers | {"x-amzn-invoked-production-variant": variant.name}, answer.body

    def _variant(self, endpoint: str) -> Variant:
        variant = self._endpoints.running(endpoint)
        if variant is not None:
            return variant
        if self._endpoints.serves(endpoint):
            raise _unavailable()
        raise ServiceError(
            "ValidationError",
            f"Endpoint {endpoint} of account {self._identity.account} not found.",
        )

    async def _ask(
        self, client: ContainerClient, invocation: Invocation, variant: Variant
    ) -> Answer:
        max_answer = SERVERLESS_PAYLOAD_BYTES if variant.serverless else INSTANCE_PAYLOAD_BYTES
        body = await invocation.read(INSTANCE_PAYLOAD_BYTES)
        _check_size(invocation, len(body), serverless=variant.serverless)
        headers = invocation.headers
        try:
            return await client.request(
                "POST /invocations",
                headers={name: headers[name] for name in _FORWARDED if name in headers},
                body=body,
                max_answer_bytes=max_answer,
                timeout_seconds=INVOCATION_TIMEOUT_SECONDS,
            )
        except TimeoutError:
            raise self._model_error(invocation, 0, _TIMED_OUT) from None
        except ContainerConnectionError:
            raise self._model_error(invocation, 0, _EXITED) from None
        except ContainerAnswerTooLargeError:
            raise self._model_error(invocation, 500, None) from None

    def _model_error(
        self, invocation: Invocation, status: int, original: str | None
    ) -> ServiceError:
        group = f"/aws/sagemaker/Endpoints/{invocation.endpoint_name}"
        side = "client" if 400 <= status < 500 else "server"
        what = (
            "and could not load the entire response body"
            if original is None
            else f'with message "{original}"'
        )
        region, account = self._identity.region, self._identity.account
        return ServiceError(
            "ModelError",
            f"Received {side} error ({status}) from primary {what}. See "
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#logEventViewer:group={group} in account {account} for more information.",
            424,
            OriginalStatusCode=status,
            OriginalMessage=original or "",
            LogStreamArn=self._identity.log_group_arn(group),
        )


def _check_size(invocation: Invocation, size: int, *, serverless: bool) -> None:
    if serverless and size > SERVERLESS_PAYLOAD_BYTES:
        raise ServiceError("ValidationError", f"Request {invocation.request_id} has oversize body.")
    if size > INSTANCE_PAYLOAD_BYTES:
        raise ServiceError(
            None, f"HTTP content length exceeded {INSTANCE_PAYLOAD_BYTES} bytes.", 413
        )


def _unavailable() -> ServiceError:
    return ServiceError(
        "ServiceUnavailable",
        "A transient exception occurred while retrieving variant instances. "
        "Please try again later.",
        503,
    )
