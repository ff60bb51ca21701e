"""SageMaker Runtime: InvokeEndpoint, passed on to the endpoint's container.

Limits and messages are those seen from SageMaker itself:

* serverless, more than 4 MB: ``ValidationError`` 400 "Request … has oversize body."
  (aws/sagemaker-python-sdk#4271, developer guide "serverless-endpoints-invoke");
* instance, more than 6 MB: 413 without an error code, "HTTP content length exceeded … bytes."
  (aws/sagemaker-python-sdk#171; 6,291,456 is ``BodyBlob``'s maximum in the API model);
* no answer within 60 s: ``ModelError`` with original status 0, "Your invocation timed out …"
  (RamVegiraju/SageMaker-Deployment#3);
* container says 4xx or 5xx: ``ModelError`` 424 "Received client|server error (…) from primary …"
  (aws/sagemaker-python-sdk#2955);
* no container to be had for the moment: ``ServiceUnavailable`` 503, "A transient exception …".
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from localcloud.sagemaker.container_client import (
    Answer,
    ContainerAnswerTooLargeError,
    ContainerClient,
    ContainerConnectionError,
    Upload,
)
from localcloud.sagemaker.endpoints import Variant
from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.identity import Identity

SERVERLESS_PAYLOAD_BYTES = 4 * 1024 * 1024
INSTANCE_PAYLOAD_BYTES = 6_291_456
INVOCATION_TIMEOUT_SECONDS = 60.0
_FORWARDED = frozenset(
    {
        b"content-type",
        b"accept",
        b"x-amzn-sagemaker-custom-attributes",
        b"x-amzn-sagemaker-inference-id",
    }
)
_RETURNED = (b"content-type", b"x-amzn-sagemaker-custom-attributes")
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
_EXITED = "An error occurred while handling request as the model process exited."

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Invocation:
    """One InvokeEndpoint request; header names in lower case, the body still to come in."""

    endpoint_name: str
    request_id: str
    headers: dict[bytes, bytes]
    body: Upload


class Runtime:
    """Answers InvokeEndpoint from the running variants, by endpoint name."""

    def __init__(
        self,
        running: dict[str, list[Variant]],
        identity: Identity,
        timeout_seconds: float = INVOCATION_TIMEOUT_SECONDS,
    ) -> None:
        self._running, self._identity = running, identity
        self._timeout_seconds = timeout_seconds

    async def invoke(self, invocation: Invocation, *, known: bool) -> tuple[Headers, bytearray]:
        """The container's answer (status 200) as headers and body; else ``ServiceError``.

        ``known`` says that the endpoint exists even if nothing of it runs at the moment.
        """
        variant = self._variant(invocation, known=known)
        _check_size(invocation, serverless=variant.serverless)
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
            raise self._model_error(invocation, answer.status, _text(answer.body))
        headers = [(name, answer.headers[name]) for name in _RETURNED if name in answer.headers]
        headers.append((b"x-amzn-invoked-production-variant", variant.name.encode()))
        return headers, answer.body

    def _variant(self, invocation: Invocation, *, known: bool) -> Variant:
        variants = self._running.get(invocation.endpoint_name)
        if not variants:
            if known:
                raise _unavailable()
            raise ServiceError(
                "ValidationError",
                f"Endpoint {invocation.endpoint_name} of account {self._identity.account} "
                "not found.",
            )
        wanted = invocation.headers.get(b"x-amzn-sagemaker-target-variant")
        if wanted is not None:
            return _named(variants, wanted.decode("latin-1"))
        if len(variants) == 1:
            return variants[0]
        return random.choices(variants, [v.weight for v in variants])[0]  # noqa: S311 - no secret

    async def _ask(
        self, client: ContainerClient, invocation: Invocation, variant: Variant
    ) -> Answer:
        max_answer = SERVERLESS_PAYLOAD_BYTES if variant.serverless else INSTANCE_PAYLOAD_BYTES
        try:
            return await client.request(
                b"POST /invocations",
                headers=[h for h in invocation.headers.items() if h[0] in _FORWARDED],
                body=invocation.body,
                max_answer_bytes=max_answer,
                timeout_seconds=self._timeout_seconds,
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


def _named(variants: list[Variant], name: str) -> Variant:
    for variant in variants:
        if variant.name == name:
            return variant
    raise ServiceError("ValidationError", f"Variant {name} not found in the endpoint.")


def _check_size(invocation: Invocation, *, serverless: bool) -> None:
    if serverless and invocation.body.length > SERVERLESS_PAYLOAD_BYTES:
        raise ServiceError("ValidationError", f"Request {invocation.request_id} has oversize body.")
    if invocation.body.length > INSTANCE_PAYLOAD_BYTES:
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


def _text(body: bytearray) -> str:
    return body.decode("utf-8", "replace")
