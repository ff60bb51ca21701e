"""The AWS account and region that a session leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.errors import UserError

Clients = Callable[[str], Any]  # a boto3 client by the service's name


@dataclass(frozen=True, slots=True)
class Account:
    """An account that has accepted the credentials."""

    number: str
    region: str
    clients: Clients

    def __str__(self) -> str:
        return f"account {self.number}, {self.region}"


def open_account(session: boto3.Session) -> Account:
    """Asks AWS who the session is.

    Raises:
        UserError: no region is chosen, or AWS does not accept the credentials.
    """
    if session.region_name is None:
        raise UserError("No region is chosen.", "Choose one with --region us-east-1")

    def client(service: str) -> Any:
        return session.client(service)  # type: ignore[call-overload]

    try:
        number = str(client("sts").get_caller_identity()["Account"])
    except (ClientError, BotoCoreError) as error:
        raise UserError(
            f"AWS does not accept these credentials: {error}",
            "Sign in (aws sso login, aws configure), or name a profile with --profile.",
        ) from error
    return Account(number, session.region_name, client)
