"""A check and its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from imagedrop.errors import UserError
from pipeline.adapters.service_errors import error_code
from pipeline.errors import TransientError


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; `next_step` is empty when there is nothing to do."""

    name: str
    ok: bool
    finding: str
    next_step: str = ""


DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"})
GRANT = "Grant it to this user or role: docs/first-deployment.md has the policy."
UNREACHABLE = "Is it there? See the stack in the CloudFormation console; then try again."


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Runs a check; an answer of AWS that prevents it is its result."""
    try:
        return check()
    except UserError as error:
        return Check(name, False, str(error), error.next_step)
    except ClientError as error:
        is_denied = error_code(error) in DENIED
        return Check(name, False, str(error), GRANT if is_denied else UNREACHABLE)
    except (BotoCoreError, TransientError) as error:
        return Check(name, False, str(error), UNREACHABLE)
