"""The clients of AWS's services: how long a call may take, and how often it is tried.

What a call may take at most decides when the last one may begin (``handlers/classify.py``);
tests/unit/handlers/test_time_budget.py adds it up. Between attempts botocore's standard mode
waits by full jitter: up to 1 s, 2 s, 4 s. S3 and DynamoDB answer in tens of milliseconds: QUICK
is for reads at the start, BRIEF for what comes after the endpoint, which has 60 s by itself.
A failed endpoint call is retried from the queue, so PATIENT does not repeat it.

Each image is a read and a write, so what botocore does again at every call is a part of what an
image costs. Two of these things are not needed, together 0.3 ms of CPU per image: the walk over
the parameters, whose types mypy checks (and the services check them too), and the user agent,
put together twice per call from a dozen parts.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session, get_session

from pipeline.classify_images import PARALLEL_IMAGES

QUICK = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=PARALLEL_IMAGES,
    response_checksum_validation="when_required",
    parameter_validation=False,
    user_agent="imagedrop",
)
BRIEF = QUICK.merge(
    Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
)
PATIENT = Config(
    connect_timeout=1, read_timeout=61, retries={"mode": "standard", "total_max_attempts": 1}
)


@cache
def session() -> Session:
    """botocore's session without boto3's resource layer: it starts sooner."""
    return get_session()


@cache
def client(service: str, config: Config = QUICK) -> Any:
    """One client per service and configuration in each execution environment."""
    return session().create_client(service, config=config)
