"""One call of the SageMaker endpoint for a whole batch of prepared images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from imaging import ImageSpec
from imaging.pixel_encoding import NPY, PixelEncoding
from pipeline.adapters.service_errors import error_code, translate_errors
from pipeline.answers import Answer, Explanation, parse_answers, parse_explanation
from pipeline.errors import (
    NoExplanationError,
    SpecMismatchError,
    TransientError,
    UnsupportedEncodingError,
)

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

SPEC_MISMATCH_STATUS = 409
UNSUPPORTED_TYPE_STATUS = 415
# Status codes of the container that are worth a retry, besides any 5xx. SageMaker reports 0 for a
# container that died or gave no answer within 60 s.
TRANSIENT_STATUSES = frozenset({0, 408, 429})
NOT_EXPLAINED = frozenset({"no_explanation", "unknown_label"})


class ModelEndpoint:
    """The endpoint named in the template."""

    def __init__(self, runtime: SageMakerRuntimeClient, endpoint_name: str) -> None:
        self._runtime = runtime
        self._endpoint_name = endpoint_name

    def classify(
        self, body: bytes, spec: ImageSpec, image_count: int, encoding: PixelEncoding = NPY
    ) -> list[Answer]:
        """Returns the answers to a body of so many images, in its order.

        Raises:
            UnsupportedEncodingError: the endpoint's model does not know the encoding; never of npy,
                which every model knows.
            TransientError: the endpoint is busy, starting, or failed (5xx).
            SpecMismatchError: the endpoint's model wants images of another spec.
            InvalidAnswerError: the answer breaks the contract.
            ClientError: anything else, most often a missing permission.
        """
        with translate_errors():
            answer = self._invoke(body, encoding.content_type(spec), encoding)
        return parse_answers(answer, image_count)

    def explain(self, body: bytes, spec: ImageSpec, label: str) -> Explanation:
        """Returns where the model looked for the label in an npy body of one image.

        Raises:
            NoExplanationError: the model has no maps, or no such label.
            TransientError, SpecMismatchError, ClientError: as `classify`.
            InvalidAnswerError: the answer breaks the contract.
        """
        content_type = f"{NPY.content_type(spec)}; explain={quote(label, safe='')}"
        with translate_errors():
            answer = self._invoke(body, content_type, NPY)
        return parse_explanation(answer)

    def _invoke(self, body: bytes, content_type: str, encoding: PixelEncoding) -> bytes:
        try:
            response = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint_name,
                ContentType=content_type,
                Accept="application/json",
                Body=body,
            )
        except ClientError as error:
            if error_code(error) == "ModelError":
                raise _container_error(error, encoding) from error
            raise
        return response["Body"].read()


def _container_error(error: ClientError, encoding: PixelEncoding) -> Exception:
    """Returns the container's error, which SageMaker wraps in a 424."""
    response: Mapping[str, Any] = error.response
    status = int(response.get("OriginalStatusCode", 500))
    message = str(response.get("OriginalMessage", ""))
    if status == SPEC_MISMATCH_STATUS:
        return SpecMismatchError(ImageSpec.from_json(json.loads(message)["error"]["image_spec"]))
    if (reason := _no_explanation(message)) is not None:
        return NoExplanationError(reason)
    if status == UNSUPPORTED_TYPE_STATUS and encoding is not NPY:
        return UnsupportedEncodingError(message)
    if status >= 500 or status in TRANSIENT_STATUSES:
        return TransientError(f"ModelError{status}", message)
    return error


def _no_explanation(message: str) -> str | None:
    """Returns why the container gave no map; None when it failed for another reason."""
    try:
        error = json.loads(message)["error"]
        return str(error["message"]) if error["code"] in NOT_EXPLAINED else None
    except (ValueError, KeyError, TypeError):
        return None
