"""Asks a newly deployed model one question, and compares the answer with its card."""

from __future__ import annotations

import time

from botocore.exceptions import ClientError

from archive.card import ModelCard
from imaging import encode_npy
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.answers import Answer, InvalidAnswerError
from pipeline.errors import SpecMismatchError, TransientError

DEADLINE_SECONDS = 120
PAUSE_SECONDS = 1.0


class ProbeError(Exception):
    """The model behind the endpoint does not behave as its card says. The message says why."""


def probe(endpoint: ModelEndpoint, card: ModelCard) -> None:
    """Sends one grey image and checks the answer.

    Raises:
        ProbeError: no answer in time, a refusal, another model, or labels unknown to the card.
    """
    answer = _answer(endpoint, card)
    if answer.model != card.identity:
        raise ProbeError(f"{answer.model} answered instead")
    unknown = {each.label for each in answer.predictions} - set(card.answers)
    if unknown:
        raise ProbeError(f"it answers labels that its card does not know: {sorted(unknown)}")


def _answer(endpoint: ModelEndpoint, card: ModelCard) -> Answer:
    """Retries transient errors, since a new container may still be starting."""
    spec = card.image_spec
    body = encode_npy([b"\x80" * spec.image_bytes], spec)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            (answer,) = endpoint.classify(body, spec, 1)
        except TransientError as error:
            if time.monotonic() > deadline:
                raise ProbeError(f"it did not answer: {error}") from error
            time.sleep(PAUSE_SECONDS)
        except (InvalidAnswerError, SpecMismatchError, ClientError) as error:
            raise ProbeError(f"it refuses an image: {error}") from error
        else:
            return answer
