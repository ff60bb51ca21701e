"""The functions' settings: every environment variable that template.yaml sets, typed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from imaging import ImageSpec
from imaging.pixel_encoding import PIXEL_ENCODINGS, PixelEncoding


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment variables, as typed attributes.

    A function has only the variables that it needs: reading another one is a ``KeyError``, and a
    malformed one a ``ValueError``.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def alarm_topic_arn(self) -> str:
        """Empty when the stack has no topic."""
        return self.environment["ALARM_TOPIC_ARN"]

    @property
    def bulk_concurrency(self) -> int:
        """How many chunks of a bulk run are prepared or recorded at once."""
        return int(self.environment["BULK_CONCURRENCY"])

    @property
    def bulk_state_machine_arn(self) -> str:
        return self.environment["BULK_STATE_MACHINE_ARN"]

    @property
    def default_model_data_url(self) -> str:
        """The archive of the model that comes with the stack."""
        return self.environment["DEFAULT_MODEL_DATA_URL"]

    @property
    def dead_letter_queue_url(self) -> str:
        return self.environment["DEAD_LETTER_QUEUE_URL"]

    @property
    def endpoint_name(self) -> str:
        return self.environment["ENDPOINT_NAME"]

    @property
    def image_spec(self) -> ImageSpec:
        """The image spec of the deployed model."""
        return ImageSpec.from_json(json.loads(self.environment["IMAGE_SPEC"]))

    @property
    def images_bucket(self) -> str:
        return self.environment["IMAGES_BUCKET"]

    @property
    def images_queue_url(self) -> str:
        return self.environment["IMAGES_QUEUE_URL"]

    @property
    def jwt_issuer_and_audience(self) -> str:
        """``https://ISSUER,AUDIENCE``; empty when callers sign with AWS credentials."""
        return self.environment["JWT_ISSUER_AND_AUDIENCE"]

    @property
    def journal_table(self) -> str:
        return self.environment["JOURNAL_TABLE"]

    @property
    def max_payload_bytes(self) -> int:
        """The largest request that the endpoint accepts."""
        return int(self.environment["MAX_PAYLOAD_BYTES"])

    @property
    def max_receives(self) -> int:
        """The queue's maxReceiveCount: after as many tries, a message becomes a dead letter."""
        return int(self.environment["MAX_RECEIVES"])

    @property
    def models_bucket(self) -> str:
        return self.environment["MODELS_BUCKET"]

    @property
    def notice_rule(self) -> str:
        """The rule for notices; empty for none."""
        return self.environment["NOTICE_RULE"]

    @property
    def notice_topic_arn(self) -> str:
        return self.environment["NOTICE_TOPIC_ARN"]

    @property
    def pixels_encoding(self) -> PixelEncoding:
        """How pixels travel to the endpoint: ``npy`` or ``webp``."""
        return PIXEL_ENCODINGS[self.environment["PIXELS_ENCODING"]]

    @property
    def predictions_table(self) -> str:
        return self.environment["PREDICTIONS_TABLE"]

    @property
    def region(self) -> str:
        """Set by Lambda itself."""
        return self.environment["AWS_REGION"]

    @property
    def repository_uri(self) -> str:
        """The stack's repository of serving images: `HOST/NAME`."""
        return self.environment["REPOSITORY_URI"]

    @property
    def serving_image(self) -> str:
        """The address of the container that serves models."""
        return self.environment["SERVING_IMAGE"]

    @property
    def shadow_endpoint_name(self) -> str:
        """The endpoint of a candidate; it exists while there is one."""
        return self.environment["SHADOW_ENDPOINT_NAME"]

    @property
    def upload_form_role_arn(self) -> str:
        """The role that signs forms for uploads, and may do nothing else."""
        return self.environment["UPLOAD_FORM_ROLE_ARN"]

    @property
    def work_bucket(self) -> str:
        return self.environment["WORK_BUCKET"]
