"""Switches the endpoint to another model, or back: update, probe, watch the alarms, record it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from archive.card import ArchiveError, ModelCard
from imagedrop.errors import UserError
from imagedrop.models.packages import find_package
from imagedrop.models.probe import ProbeError, probe
from imagedrop.models.serving_endpoint import ServingEndpoint
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.events import utc_text
from registry.model_registry import Approval, ModelPackage, ModelRegistry
from registry.models_bucket import ModelsBucket
from registry.promotions import Promotion, Promotions
from registry.served_model import Serving

ALARM_POLL_SECONDS = 5.0
MAX_REASON_CHARACTERS = 1024  # ApprovalDescription


def lost_refusals(former: ModelCard, new: ModelCard) -> str | None:
    """Returns the kinds of image that the former model refuses and the new one labels."""
    if former.gate is not None and new.gate is None:
        return (
            f"{new.identity} has no gate: it names every photo, also those that {former.identity} "
            f"calls {former.gate.label}. A gate needs 49 photos that can be left out."
        )
    if former.unknown is not None and new.unknown is None and new.gate is None:
        return (
            f"{new.identity} has no label for what {former.identity} calls {former.unknown.label}."
        )
    return None


@dataclass(frozen=True, slots=True)
class Promoter:
    """Promotes models to one endpoint.

    Attributes:
        alarms: names of the alarms that roll a promotion back.
        bake_seconds: how long the alarms are watched after the switch.
        on_step: called with a line of text at each step.
        on_warning: called with the kinds of image that the new model no longer refuses.
    """

    endpoint: ServingEndpoint
    runtime: ModelEndpoint
    models: ModelsBucket
    registry: ModelRegistry
    cloudwatch: Any
    alarms: Sequence[str]
    default_model_data_url: str
    bake_seconds: int
    on_step: Callable[[str], None]
    on_warning: Callable[[str], None]

    def promote(self, name: str, version: str) -> str:
        """Puts a registered model behind the endpoint; returns its identity.

        Raises:
            UserError: there is no such package, an alarm is on, or the model failed and the
                endpoint is back at the former model.
        """
        package = find_package(self.registry, name, version)
        try:
            return self._switch(package.model_data_url, package)
        except ProbeError as error:
            self.registry.decide(package, Approval.REJECTED, str(error)[:MAX_REASON_CHARACTERS])
            raise UserError(
                f"{package.identity} failed behind the endpoint: {error}.",
                "The endpoint was rolled back to the former model, and the package was marked as "
                "rejected.",
            ) from error

    def back(self) -> str:
        """Puts the model before the current one behind the endpoint; returns its identity.

        Raises:
            UserError: nothing was promoted, or the former model failed.
        """
        promotions = self.models.promotions()
        if promotions.current is None:
            raise UserError(
                "No model has been promoted: the default model answers.",
                "List the models with: imagedrop models",
            )
        former = promotions.without_current()
        url = former.current.model_data_url if former.current else self.default_model_data_url
        try:
            return self._switch(url)
        except ProbeError as error:
            raise UserError(
                f"The former model failed behind the endpoint: {error}.",
                "The endpoint keeps its current model.",
            ) from error

    def _switch(self, model_data_url: str, package: ModelPackage | None = None) -> str:
        """Switches to an archive: the package's when one is promoted; without one, back."""
        card = self.models.read_card(model_data_url)
        serving, recorded = self.endpoint.serving(), self.models.promotions()
        self._require_quiet_alarms()
        if package is not None:
            self._warn_of_lost_refusals(serving, card)
        if serving.model_data_url != model_data_url:
            self.on_step(f"Switching to {card.identity}")
            self._update(serving, self.endpoint.make_config(serving, model_data_url))
        with self._rolled_back_to(serving, recorded):
            self.on_step(f"Asking {card.identity}")
            probe(self.runtime, card)
            # Recorded before the watch, so that an interrupted watch leaves the model in place.
            if package is None:
                self.models.write_promotions(recorded.without_current())
            else:
                now = utc_text(datetime.now(UTC))
                promotion = Promotion(card.identity, model_data_url, card.image_spec.to_json(), now)
                self.models.write_promotions(recorded.with_promoted(promotion))
                self.registry.decide(package, Approval.APPROVED, f"promoted {now}")
            if not serving.is_on_instances:
                self._watch_alarms()
        return card.identity

    def _warn_of_lost_refusals(self, serving: Serving, card: ModelCard) -> None:
        # The former model's card may be gone; that must not prevent the promotion.
        with suppress(ArchiveError, ClientError):
            former = self.models.read_card(serving.model_data_url)
            if warning := lost_refusals(former, card):
                self.on_warning(warning)

    def _update(self, serving: Serving, config_name: str) -> None:
        self.endpoint.begin_update(
            config_name,
            is_on_instances=serving.is_on_instances,
            bake_seconds=self.bake_seconds,
            alarms=self.alarms,
        )
        for status in self.endpoint.until_in_service(config_name, bake_seconds=self.bake_seconds):
            self.on_step(f"The endpoint is {status}")

    @contextmanager
    def _rolled_back_to(self, serving: Serving, recorded: Promotions) -> Iterator[None]:
        try:
            yield
        except ProbeError:
            self.models.write_promotions(recorded)
            if self.endpoint.serving().config_name != serving.config_name:
                self.on_step("Going back to the former model")
                self._update(serving, serving.config_name)
            raise

    def _alarms_on(self) -> list[str]:
        if not self.alarms:
            return []
        found = self.cloudwatch.describe_alarms(AlarmNames=list(self.alarms), StateValue="ALARM")
        return [each["AlarmName"] for each in found["MetricAlarms"]]

    def _require_quiet_alarms(self) -> None:
        if on := self._alarms_on():
            raise UserError(
                f"An alarm is already on, so nothing was changed: {', '.join(on)}.",
                "docs/operations.md explains each alarm; promote when it is off.",
            )

    def _watch_alarms(self) -> None:
        """Does on serverless endpoints what SageMaker does on instances."""
        deadline = time.monotonic() + self.bake_seconds
        while (left := deadline - time.monotonic()) > 0:
            self.on_step(f"Watching the alarms for {left:.0f} more seconds")
            if on := self._alarms_on():
                raise ProbeError(f"alarms went off: {', '.join(on)}")
            time.sleep(min(ALARM_POLL_SECONDS, left))
