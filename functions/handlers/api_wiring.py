"""The adapters and use cases of ``ApiFunction`` alone, made once per execution environment."""

from __future__ import annotations

from functools import cache

from api.explanations import Explanations
from api.thumbnails import Thumbnails
from api.upload_forms import UploadForms
from bulk.listed_runs import ListedRuns
from bulk.progress import ProgressReader
from bulk.work_bucket import WorkBucket
from handlers import wiring
from pipeline.adapters.images_bucket import GONE_CODES, MALFORMED_VERSION_CODE, ImagesBucket
from pipeline.adapters.model_endpoint import ModelEndpoint
from pipeline.adapters.reviews_table import ReviewsTable
from pipeline.clients import WATCHED, client, s3_with


@cache
def reviews_table() -> ReviewsTable:
    return ReviewsTable(client("dynamodb"), wiring.settings.predictions_table)


@cache
def shown_images() -> ImagesBucket:
    """Returns the images for people, who may ask for a version that never existed."""
    return ImagesBucket(client("s3"), gone_codes=GONE_CODES | {MALFORMED_VERSION_CODE})


@cache
def thumbnails() -> Thumbnails:
    return Thumbnails(shown_images(), wiring.decoder().thumbnail, wiring.settings.images_bucket)


@cache
def explanations() -> Explanations:
    endpoint = ModelEndpoint(client("sagemaker-runtime", WATCHED), wiring.settings.endpoint_name)
    spec, bucket = wiring.settings.image_spec, wiring.settings.images_bucket
    return Explanations(shown_images(), wiring.decoder().prepare, endpoint, spec, bucket)


@cache
def upload_forms() -> UploadForms:
    role_arn = wiring.settings.upload_form_role_arn
    return UploadForms(client("sts"), s3_with, wiring.settings.images_bucket, role_arn)


@cache
def listed_runs() -> ListedRuns:
    work = WorkBucket(client("s3"), wiring.settings.work_bucket)
    arn = wiring.settings.bulk_state_machine_arn
    return ListedRuns(
        client("stepfunctions"),
        arn,
        work,
        lambda run, most_pages: ProgressReader(client("s3"), work, run, most_pages).read(),
    )
