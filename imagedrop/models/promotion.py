"""Another model behind the endpoint, and the way back: switch, ask, watch the alarms, note it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from imagedrop.errors import UserError
from imagedrop.models.serving_endpoint import Serving, ServingEndpoint
from imaging import ImageSpec, encode_npy
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.answers import InvalidAnswerError
from pipeline.errors import SpecMismatchError, TransientError
from pipeline.events import utc_text
from registry.model_registry import Approval, ModelPackage, ModelRegistry
from registry.models_bucket import ModelsBucket
from registry.promotions import Promotion, Promotions

PROBE_DEADLINE_SECONDS = 120
PROBE_PAUSE_SECONDS = 1.0
ALARM_POLL_SECONDS = 5.0
MAX_REASON_CHARACTERS = 1024  # ApprovalDescription


class ProbeError(Exception):
    """The model behind the endpoint does not do what its card says. The message says why."""


def _nobody(_what: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Promoter:
    """What a promotion works with.

    Attributes:
        alarms: names of the alarms that end a promotion.
        tell: called with each step, for people.
    """

    endpoint: ServingEndpoint
    answers: ModelEndpoint
    models: ModelsBucket
    registry: ModelRegistry
    cloudwatch: Any
    alarms: Sequence[str]
    default_model_data_url: str
    bake_seconds: int
    tell: Callable[[str], None] = field(default=_nobody)

    def promote(self, name: str, version: str) -> str:
        """Puts a registered model behind the endpoint; its identity.

        Raises:
            UserError: there is no such package, an alarm is on, or the model failed and the
                endpoint is back at the model before.
        """
        package = self._find(name, version)
        try:
            return self._switch(package.model_data_url, package)
        except ProbeError as error:
            self.registry.decide(package, Approval.REJECTED, str(error)[:MAX_REASON_CHARACTERS])
            raise UserError(
                f"{package.identity} failed behind the endpoint: {error}.",
                "The endpoint is back at the model before, and the package is rejected.",
            ) from error

    def back(self) -> str:
        """Puts the model before the current one behind the endpoint; its identity.

        Raises:
            UserError: nothing was promoted, or the model before failed.
        """
        promotions = self.models.promotions()
        if promotions.current is None:
            raise UserError(
                "No model has been promoted: the default model answers.",
                "See what there is with: imagedrop models",
            )
        before = promotions.without_current()
        url = before.current.model_data_url if before.current else self.default_model_data_url
        try:
            return self._switch(url)
        except ProbeError as error:
            raise UserError(
                f"The model before failed behind the endpoint: {error}.",
                "The endpoint stays with the model that it has.",
            ) from error

    def _find(self, name: str, version: str) -> ModelPackage:
        packages = list(self.registry.packages_of(name))
        for package in packages:
            if package.version == version:
                return package
        known = ", ".join(each.version for each in packages)
        raise UserError(
            f"There is no {name}@{version} in the registry; versions of {name}: {known or 'none'}.",
            "See all with: imagedrop models. Register one with: imagedrop package FOLDER",
        )

    def _switch(self, model_data_url: str, package: ModelPackage | None = None) -> str:
        """The package is one that is promoted; without one this is the way back."""
        card = self.models.read_card(model_data_url)
        identity = f"{card['name']}@{card['version']}"
        serving, noted = self.endpoint.serving(), self.models.promotions()
        self._require_quiet_alarms()
        if serving.model_data_url != model_data_url:
            self.tell(f"Switching to {identity}")
            self._update(serving, self.endpoint.make_config(serving, model_data_url))
        with self._or_back_to(serving, noted):
            self.tell(f"Asking {identity}")
            self._probe(card, identity)
            # Before the watch: whoever interrupts that leaves the model where it is.
            if package is None:
                self.models.write_promotions(noted.without_current())
            else:
                now = utc_text(datetime.now(UTC))
                promotion = Promotion(identity, model_data_url, card["image_spec"], now)
                self.models.write_promotions(noted.with_promoted(promotion))
                self.registry.decide(package, Approval.APPROVED, f"promoted {now}")
            if not serving.is_on_instances:
                self._watch_alarms()
        return identity

    def _update(self, serving: Serving, config_name: str) -> None:
        self.endpoint.begin_update(
            config_name,
            is_on_instances=serving.is_on_instances,
            bake_seconds=self.bake_seconds,
            alarms=self.alarms,
        )
        for status in self.endpoint.until_in_service(config_name):
            self.tell(f"The endpoint is {status}")

    @contextmanager
    def _or_back_to(self, serving: Serving, noted: Promotions) -> Iterator[None]:
        try:
            yield
        except ProbeError:
            self.models.write_promotions(noted)
            if self.endpoint.serving().config_name != serving.config_name:
                self.tell("Going back to the model before")
                self._update(serving, serving.config_name)
            raise

    def _probe(self, card: Any, identity: str) -> None:
        """One grey image, answered as the card says. A new container may still be starting."""
        spec = ImageSpec.from_json(card["image_spec"])
        body = encode_npy([b"\x80" * spec.image_bytes], spec)
        deadline = time.monotonic() + PROBE_DEADLINE_SECONDS
        while True:
            try:
                (answer,) = self.answers.classify(body, spec, 1)
            except TransientError as error:
                if time.monotonic() > deadline:
                    raise ProbeError(f"it did not answer: {error}") from error
                time.sleep(PROBE_PAUSE_SECONDS)
                continue
            except (InvalidAnswerError, SpecMismatchError, ClientError) as error:
                raise ProbeError(f"it refuses an image: {error}") from error
            break
        if answer.model != identity:
            raise ProbeError(f"{answer.model} answered in its place")
        gate = [card["gate"]["label"]] if card["gate"] else []
        unknown = {each.label for each in answer.predictions} - {*card["labels"], *gate}
        if unknown:
            raise ProbeError(f"it answers labels that its card does not know: {sorted(unknown)}")

    def _alarms_on(self) -> list[str]:
        if not self.alarms:
            return []
        found = self.cloudwatch.describe_alarms(AlarmNames=list(self.alarms), StateValue="ALARM")
        return [each["AlarmName"] for each in found["MetricAlarms"]]

    def _require_quiet_alarms(self) -> None:
        if on := self._alarms_on():
            raise UserError(
                f"An alarm is on before anything was changed: {', '.join(on)}.",
                "docs/operations.md says what each means; promote when it is off.",
            )

    def _watch_alarms(self) -> None:
        """What SageMaker does on instances. Whoever stops waiting ends the watch, and no more."""
        deadline = time.monotonic() + self.bake_seconds
        while (left := deadline - time.monotonic()) > 0:
            self.tell(f"Watching the alarms for {left:.0f} more seconds")
            if on := self._alarms_on():
                raise ProbeError(f"alarms went off: {', '.join(on)}")
            time.sleep(min(ALARM_POLL_SECONDS, left))
