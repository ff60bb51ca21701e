"""One photo from the bucket to its row; both are erased afterwards."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from imagedrop.doctor.checks import Check
from imagedrop.forget import forgetting
from imagedrop.predictions import wait_for_rows
from imagedrop.target import INCOMING_PREFIX, Target
from imagedrop.uploads import Upload, upload_all
from pipeline.records import Record, Status

PHOTO = Path(__file__).parents[2] / "demo" / "photos" / "pug.jpg"
# A cold endpoint takes up to a minute, and a failed first try comes again after 10 to 80 s.
PATIENCE_SECONDS = 180.0
NAME = "canary"


def send_canary(target: Target, patience_seconds: float = PATIENCE_SECONDS) -> Check:
    """Drops a photo under a unique name, waits for its row, and erases both.

    Raises:
        ClientError: a permission is missing.
    """
    key = f"{INCOMING_PREFIX}doctor-{uuid.uuid4().hex}.jpg"
    began = time.monotonic()
    (sent,) = upload_all(target.client("s3"), target.images_bucket, [Upload(PHOTO, key)])
    if sent.error is not None:
        return Check(
            NAME,
            False,
            f"the photo could not be put into the bucket: {sent.error}",
            "`imagedrop send` needs s3:PutObject and the key's kms:GenerateDataKey.",
        )
    try:
        rows = wait_for_rows(
            target, [sent], patience_seconds=patience_seconds, on_rows=lambda _count: None
        )
    finally:
        forgetting(target).forget(key)
    return _result(rows.get(key), time.monotonic() - began)


def _result(row: Record | None, seconds: float) -> Check:
    if row is None:
        return Check(
            NAME,
            False,
            f"no row after {seconds:.0f} s",
            "See `imagedrop status` and the log group /STACK/classify; docs/first-deployment.md "
            "says what each means.",
        )
    ok = row.status is Status.CLASSIFIED
    verdict = f"{row.label} {row.confidence:.3f}" if row.confidence is not None else row.reason
    return Check(
        NAME,
        ok,
        f"{row.status} as {verdict} by {row.model} after {seconds:.1f} s, and forgotten again",
        "" if ok else "The photo is demo/photos/pug.jpg: the functions' bundle cannot decode it.",
    )
