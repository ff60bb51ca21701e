"""The clients of AWS's services: the timeouts of a call, and how often it is tried.

The longest possible call decides when the last one may begin (``pipeline/time_budget.py``);
tests/unit/handlers/test_time_budget.py adds it up. Between attempts botocore's standard mode
waits with full jitter: up to 1 s, 2 s, 4 s. S3 and DynamoDB answer in tens of milliseconds: QUICK
is for reads at the start, BRIEF for calls after the endpoint, which alone may take 60 s.
A failed endpoint call is retried from the queue, so PATIENT does not repeat it.

Every image needs a read and a write, so botocore's work per call is part of an image's cost. Two
steps are left out and save 0.3 ms of CPU per image: the validation of parameters (mypy and the
services check them), and the user agent, which botocore builds twice per call. Times are read by
``moment``, and a third step is left out of queries: see ``items_as_sent``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session, get_session
from botocore.utils import parse_timestamp

# As many as the most calls at once of one function, those on a folder's chunks. One connection more
# would be closed after its call, and the next call would pay for another one, with TLS.
CONNECTIONS = 16

QUICK = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=CONNECTIONS,
    response_checksum_validation="when_required",
    parameter_validation=False,
    user_agent="imagedrop",
)
BRIEF = QUICK.merge(
    Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
)
# For a cold endpoint, while a caller waits for the API, which gives up after 29 s.
WATCHED = Config(
    connect_timeout=1, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1}
)
PATIENT = Config(
    connect_timeout=1, read_timeout=61, retries={"mode": "standard", "total_max_attempts": 1}
)


@cache
def session() -> Session:
    """Returns botocore's session, which starts faster than boto3's."""
    made = get_session()
    made.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    return made


@cache
def client(service: str, config: Config = QUICK) -> Any:
    """Returns the environment's one client for this service and configuration."""
    made = session().create_client(service, config=config)
    if service == "dynamodb":
        made.meta.events.register("before-parse.dynamodb.Query", items_as_sent)
    return made


def moment(value: Any) -> datetime:
    """Reads a time of S3, of a listing or a header, in a tenth of botocore's time.

    botocore guesses the format, for 0.1 ms: each object that is read has such a time, and each line
    of a listing. Any other format is left to it.
    """
    if isinstance(value, str) and value.endswith(("Z", "GMT")):
        read = datetime.fromisoformat if value.endswith("Z") else parsedate_to_datetime
        try:
            return read(value)
        except ValueError:
            pass  # botocore reports the error
    guessed: datetime = parse_timestamp(value)
    return guessed


def items_as_sent(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_about: Any
) -> None:
    """Takes a query's items out of what botocore parses; they stay as DynamoDB sends them.

    botocore visits every value of every item for the sake of binary ones, of which our tables have
    none: 39 ms of CPU for 200 rows, of which a page reads 800, instead of 3 ms.
    """
    body = json.loads(response_dict["body"])
    if "Items" in body:  # a refusal has none
        customized_response_dict["Items"] = body.pop("Items")
        response_dict["body"] = json.dumps(body).encode()


def s3_with(credentials: Mapping[str, str]) -> Any:
    """Returns a client of S3 that signs with these credentials of STS, and the newest signature."""
    return session().create_client(
        "s3",
        config=QUICK.merge(Config(signature_version="s3v4")),
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
