"""A known model that is not in use, to be tried on existing images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archive.card import ModelCard
from imagedrop.errors import UserError
from imagedrop.models.packages import find_package
from imagedrop.models.serving_endpoint import serving_endpoint
from imagedrop.target import Target
from registry.served_model import Serving


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model other than the one in use.

    Attributes:
        serving: the model in use.
        answering: its card.
    """

    card: ModelCard
    model_data_url: str
    serving: Serving
    answering: ModelCard


def find_candidate(found: Target, typed: str) -> Candidate:
    """Finds a registered model, or the default one, by ``NAME@VERSION``.

    Raises:
        UserError: there is none, or it is the one in use.
    """
    name, at, version = typed.partition("@")
    if not (name and at and version):
        raise UserError(
            f"{typed} is not a model's name and version.",
            "Write --model NAME@VERSION; see: imagedrop models",
        )
    models, default_url = found.models_bucket(), found.outputs["DefaultModelDataUrl"]
    serving = serving_endpoint(found).serving()
    if models.read_card(default_url).identity == typed:
        url = default_url
    else:
        url = find_package(found.model_registry(), name, version).model_data_url
    if url == serving.model_data_url:
        raise UserError(
            f"{typed} is the model in use: there is nothing to compare it with.",
            "Name another one; list them with: imagedrop models",
        )
    answering = models.read_card(serving.model_data_url)
    return Candidate(models.read_card(url), url, serving, answering)


def make_model(found: Target, candidate: Candidate) -> str:
    """Makes the candidate's model in SageMaker, once; returns its name there."""
    return serving_endpoint(found).make_model(candidate.serving, candidate.model_data_url)


def abstentions(cards: Iterable[ModelCard]) -> list[str]:
    """Returns the labels of these models that mean none of their own labels."""
    return sorted({label for card in cards for label in set(card.answers) - set(card.labels)})


def cards_of(found: Target, candidate: Candidate, identities: Iterable[str]) -> list[ModelCard]:
    """Returns the cards of the candidate and of these models, as far as they are still known."""
    cards = [candidate.card, candidate.answering]
    models = found.models_bucket()
    cards.append(models.read_card(found.outputs["DefaultModelDataUrl"]))
    registry = found.model_registry()
    for identity in sorted(set(identities) - {each.identity for each in cards}):
        name, _, version = identity.partition("@")
        cards += [
            models.read_card(each.model_data_url)
            for each in registry.packages_of(name)
            if each.version == version
        ]
    return cards
