"""The control plane's wire format: JSON 1.1, the operation named in ``X-Amz-Target``."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping

from localcloud.sagemaker.errors import ServiceError
from localcloud.sagemaker.state import Record
from localcloud.sagemaker.validation import RequestValidator

Operation = Callable[[Record], Awaitable[Record]]
TARGET_PREFIX = "SageMaker."


class ControlPlane:
    """Finds the operation, checks the request, answers JSON."""

    def __init__(self, operations: Mapping[str, Operation], validator: RequestValidator) -> None:
        self._operations = operations
        self._validator = validator

    async def call(self, target: str, body: bytes) -> bytes:
        """The JSON answer to one request. Raises ``ServiceError``."""
        operation = target.removeprefix(TARGET_PREFIX)
        if not target.startswith(TARGET_PREFIX) or operation not in self._operations:
            raise ServiceError(
                "UnknownOperationException",
                f"Not emulated by the local stand-in for SageMaker: {target or 'no X-Amz-Target'}",
            )
        request = _parse(body)
        self._validator.check(operation, request)
        given = {name: value for name, value in request.items() if value is not None}
        return json.dumps(await self._operations[operation](given)).encode()


def _parse(body: bytes) -> Record:
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", f"not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ServiceError("SerializationException", "not a JSON object")
    return request
