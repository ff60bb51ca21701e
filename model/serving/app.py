"""The endpoint: ``GET /ping``, ``POST /invocations``, ``GET /execution-parameters``.

The same application object runs under uvicorn (``python -m model.serving``: locally and in our
own image) and under Ray Serve (``deployment.py``: AWS's container).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.serving.asgi import Receive, Scope, Send, header, respond
from model.serving.classifier import Classifier
from model.serving.content_types import ACCEPTED, IMAGES, NPY, parse_content_type
from model.serving.cores import usable_cores
from model.serving.logs import log
from model.serving.refusals import ImageRejected, Refusal
from model.serving.requests import (
    ClientGone,
    MemoryBudget,
    announced_bytes,
    read_body,
)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What the endpoint takes.

    Attributes:
        body_bytes: one request. 20 MiB are 139 images of 224 pixels; SageMaker itself stops
            calls at 4 MB (serverless) or 6 MB, only Batch Transform sends more.
        in_flight_bytes: all requests together, their decoded images included.
    """

    body_bytes: int = 20 * MIB
    in_flight_bytes: int = 48 * MIB


DEFAULT_LIMITS = Limits()

# Batch Transform asks for these (a job's own settings win): the next shard travels while the
# model works on this one, and a shard is one record that must not be glued to the next.
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
BATCH_VARIABLE = "SAGEMAKER_BATCH"  # "true" in the container of a transform job
CONCURRENT_TRANSFORMS = 2
BATCH_STRATEGY = "SINGLE_RECORD"


class Application:
    """An ASGI application for one extracted model archive.

    It holds nothing but its settings until its host starts it, so it can be pickled (Ray Serve
    does) and importing it does no work.
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
        """One connection scope, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._respond(scope, receive, send)
        else:
            raise ValueError(f"no {scope['type']} connections here")

    async def _live(self, receive: Receive, send: Send) -> None:
        """Load before the host opens its port; a model that does not load stops the host."""
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
        except ClientGone:
            return
        except Refusal as refusal:
            log(logging.WARNING, "refused", status=refusal.status, code=refusal.code)
            await _respond_refused(send, refusal)
        except Exception as error:  # noqa: BLE001 - a bug: a traceback in the log, none outside
            log(logging.ERROR, "failed", error=error, path=scope["path"])
            await _respond_refused(send, Refusal(500, "internal_error", "the endpoint failed"))
        else:
            await respond(send, 200, body)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        route = (scope["method"], scope["path"])
        # AWS's Ray Serve container takes /invocations itself and passes it on as "/".
        if route in {("POST", "/invocations"), ("POST", "/")}:
            return await self._invoke(scope, receive)
        if route == ("GET", "/ping"):
            self._ready()
            return b"{}"
        if route == ("GET", "/execution-parameters"):
            return _execution_parameters(self._limits)
        raise Refusal(404, "not_found", "GET /ping, POST /invocations, GET /execution-parameters")

    def _ready(self) -> Classifier:
        if self._classifier is None:
            raise Refusal(503, "loading", "the model is not ready", retry_after_seconds=1)
        return self._classifier

    async def _invoke(self, scope: Scope, receive: Receive) -> bytes:
        classifier = self._ready()
        media_type = _accepted_type(scope, classifier)
        body_bytes = announced_bytes(scope, self._limits.body_bytes)
        decoded_bytes = 0 if media_type == NPY else classifier.spec.image_bytes
        with self._budget.held(body_bytes + decoded_bytes):
            body = await read_body(receive, body_bytes)
            classify = classifier.classify_npy if media_type == NPY else classifier.classify_image
            try:
                return await _while_connected(classify(body), receive)
            except ImageRejected as rejected:
                if not self._in_transform_job:
                    raise
                # Any other status than 2xx fails the whole job, however many images were good.
                return rejected.as_entry()


def create_app(model_dir: Path) -> Application:
    """The endpoint for the archive extracted into `model_dir`, as this process' host wants it."""
    return Application(model_dir, in_transform_job=os.environ.get(BATCH_VARIABLE) == "true")


def _accepted_type(scope: Scope, classifier: Classifier) -> str:
    """The body's media type.

    Raises:
        Refusal: 415 for a type that is none of ours, 409 for images of another spec.
    """
    media_type, spec_hash = parse_content_type(header(scope, b"content-type"))
    if media_type == NPY:
        if spec_hash != classifier.spec_hash:
            raise _spec_mismatch(spec_hash, classifier)
    elif media_type not in IMAGES:
        message = f"{media_type or 'no content type'} is not among {', '.join(ACCEPTED)}"
        raise Refusal(415, "unsupported_type", message)
    return media_type


def _spec_mismatch(given: str | None, classifier: Classifier) -> Refusal:
    expected = classifier.spec_hash
    return Refusal(
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


async def _respond_refused(send: Send, refusal: Refusal) -> None:
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if refusal.retry_after_seconds is not None:
        headers = ((b"retry-after", str(refusal.retry_after_seconds).encode()),)
    await respond(send, refusal.status, refusal.body(), headers)


async def _while_connected(answer: Coroutine[Any, Any, bytes], receive: Receive) -> bytes:
    """The answer, worked out only as long as somebody waits for it.

    Raises:
        ClientGone: the client left; the work was cancelled.
    """
    work = asyncio.ensure_future(answer)
    departure = asyncio.ensure_future(_departure(receive))
    try:
        await asyncio.wait({work, departure}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientGone
        return work.result()
    finally:
        departure.cancel()
        work.cancel()


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
