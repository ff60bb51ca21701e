"""The endpoint: ``GET /ping``, ``POST /invocations``, ``GET /execution-parameters``.

The same application runs under uvicorn (``python -m model.serving``, locally and in our image) and
under Ray Serve (``deployment.py``, in AWS's container).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from imaging.webp_batch import MEDIA_TYPE as WEBP_BATCH
from model.serving.classifier import Classifier
from model.serving.cores import usable_cores
from model.serving.logs import log
from model.serving.requests import (
    ACCEPTED,
    IMAGES,
    NPY,
    PIXELS,
    ClientGoneError,
    ImageRejectedError,
    MemoryBudget,
    Receive,
    RefusalError,
    Scope,
    Send,
    announced_bytes,
    header,
    label_to_explain,
    parse_content_type,
    read_body,
    respond,
    while_connected,
)
from model.serving.webp_batch import read_webp_batch

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The endpoint's limits.

    Attributes:
        body_bytes: of one request. 20 MiB are 139 images of 224 pixels; SageMaker itself stops
            calls at 4 MB (serverless) or 6 MB, only Batch Transform sends more.
        in_flight_bytes: of all requests together, their decoded images included.
    """

    body_bytes: int = 20 * MIB
    in_flight_bytes: int = 48 * MIB


DEFAULT_LIMITS = Limits()

# Defaults for Batch Transform; a job's settings override them. The next shard travels while the
# model works on this one, and a shard is one record that must not be joined to the next.
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
BATCH_VARIABLE = "SAGEMAKER_BATCH"  # "true" in the container of a transform job
CONCURRENT_TRANSFORMS = 2
BATCH_STRATEGY = "SINGLE_RECORD"


class Application:
    """An ASGI application for one extracted model archive.

    It has only its settings until its host starts it, so it can be pickled (Ray Serve does) and
    its import does no work.
    """

    def __init__(
        self, model_dir: Path, limits: Limits = DEFAULT_LIMITS, *, in_transform_job: bool = False
    ) -> None:
        self._model_dir = model_dir
        self._limits = limits
        self._in_transform_job = in_transform_job
        self._budget = MemoryBudget(limits.in_flight_bytes)
        self._classifier: Classifier | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one ASGI connection scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._respond(scope, receive, send)
        else:
            raise ValueError(f"no {scope['type']} connections here")

    async def _live(self, receive: Receive, send: Send) -> None:
        """Loads before the host opens its port; a model that does not load stops the host."""
        await receive()
        try:
            await self._start()
        except Exception as error:  # noqa: BLE001 - the host ends the process on this message
            log(logging.ERROR, "the model did not load", error=error)
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        started = time.perf_counter()
        cores = usable_cores()
        self._classifier = await asyncio.to_thread(Classifier.load, self._model_dir, cores)
        log(
            logging.INFO,
            "started",
            model=self._classifier.card.identity,
            spec=self._classifier.spec_hash,
            threads=cores,
            load_seconds=round(time.perf_counter() - started, 3),
        )

    async def _stop(self) -> None:
        classifier, self._classifier = self._classifier, None
        if classifier is not None:
            await asyncio.to_thread(classifier.close)
            log(logging.INFO, "stopped")

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._body(scope, receive)
        except ClientGoneError:
            return
        except RefusalError as refusal:
            log(logging.WARNING, "refused", status=refusal.status, code=refusal.code)
            await respond(send, refusal.status, refusal.body(), refusal.retry_after_seconds)
        except Exception as error:  # noqa: BLE001 - a bug: a traceback in the log, none outside
            log(logging.ERROR, "failed", error=error, path=scope["path"])
            failure = RefusalError(500, "internal_error", "the endpoint failed")
            await respond(send, failure.status, failure.body())
        else:
            await respond(send, 200, body)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        route = (scope["method"], scope["path"])
        # AWS's Ray Serve container takes /invocations itself and passes it on as "/".
        if route in {("POST", "/invocations"), ("POST", "/")}:
            return await self._invoke(scope, receive)
        if route in {("GET", "/ping"), ("HEAD", "/ping")}:
            self._ready()
            return b"{}"
        if route == ("GET", "/execution-parameters"):
            return _execution_parameters(self._limits)
        routes = "GET /ping, POST /invocations, GET /execution-parameters"
        raise RefusalError(404, "not_found", routes)

    def _ready(self) -> Classifier:
        if self._classifier is None:
            raise RefusalError(503, "loading", "the model is not ready", retry_after_seconds=1)
        return self._classifier

    async def _invoke(self, scope: Scope, receive: Receive) -> bytes:
        classifier = self._ready()
        media_type = _accepted_type(scope, classifier)
        body_bytes = announced_bytes(scope, self._limits.body_bytes)
        decoded_bytes = 0 if media_type in PIXELS else classifier.spec.image_bytes
        with self._budget.held(body_bytes + decoded_bytes):
            body = await read_body(receive, body_bytes)
            label = label_to_explain(header(scope, b"content-type"))
            if label is not None:
                if media_type != NPY:
                    raise RefusalError(400, "explains_npy_only", f"explain needs {NPY}")
                return await while_connected(classifier.explain_npy(body, label), receive)
            if media_type == WEBP_BATCH:
                return await self._classify_webp(classifier, body, receive)
            classify = classifier.classify_npy if media_type == NPY else classifier.classify_image
            try:
                return await while_connected(classify(body), receive)
            except ImageRejectedError as rejected:
                if not self._in_transform_job:
                    raise
                # Any status but 2xx fails the whole job, however many images were good.
                return rejected.as_entry()

    async def _classify_webp(
        self, classifier: Classifier, body: bytearray, receive: Receive
    ) -> bytes:
        """Classifies the images of a WebP batch; its pixels are not more than a body may hold."""
        files = read_webp_batch(body, classifier.spec, self._limits.body_bytes)
        with self._budget.held(len(files) * classifier.spec.image_bytes):
            return await while_connected(classifier.classify_webp(files), receive)


def create_app(model_dir: Path) -> Application:
    """Makes the endpoint for the archive extracted into `model_dir`; reads the environment."""
    return Application(model_dir, in_transform_job=os.environ.get(BATCH_VARIABLE) == "true")


def _accepted_type(scope: Scope, classifier: Classifier) -> str:
    """Returns the body's media type.

    Raises:
        RefusalError: 415 for a type that is not accepted, 409 for images of another spec.
    """
    media_type, spec_hash = parse_content_type(header(scope, b"content-type"))
    if media_type in PIXELS:
        if spec_hash != classifier.spec_hash:
            raise _spec_mismatch(spec_hash, classifier)
    elif media_type not in IMAGES:
        message = f"{media_type or 'no content type'} is not among {', '.join(ACCEPTED)}"
        raise RefusalError(415, "unsupported_type", message)
    return media_type


def _spec_mismatch(given: str | None, classifier: Classifier) -> RefusalError:
    expected = classifier.spec_hash
    return RefusalError(
        409,
        "spec_mismatch",
        f"the images were prepared for spec {given}, {classifier.card.identity} wants {expected}",
        details={"expected_spec": expected, "image_spec": classifier.spec.to_json()},
    )


def _execution_parameters(limits: Limits) -> bytes:
    return json.dumps(
        {
            "MaxConcurrentTransforms": CONCURRENT_TRANSFORMS,
            "BatchStrategy": BATCH_STRATEGY,
            "MaxPayloadInMB": limits.body_bytes // MIB,
        }
    ).encode()
