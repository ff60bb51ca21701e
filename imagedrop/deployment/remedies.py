"""AWS's messages about failed deployments, and how to fix each. docs/operations.md has the same
table. CloudFormation returns a resource's error only as text, so errors are recognised by text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remedy:
    """A part of AWS's message, as people read it and as a pattern, and what to do."""

    says: str
    pattern: str
    next_step: str


REMEDIES = (
    # First: these messages quote errors of the function's own calls, which others would match.
    Remedy(
        "Received response status [FAILED] from custom resource",
        r"(?i)response status \[FAILED\] from custom resource",
        "The message says what the function could not do; its log is /STACK/publish-image or "
        "/STACK/publish-model. In a VPC it needs a route to the internet for the public base "
        "image, "
        "or deploy with --parameter ServingImageUri=….",
    ),
    Remedy(
        "Memory size in MB per serverless endpoint",
        r"Memory size in MB per serverless endpoint",
        "Deploy with --parameter EndpointCapacity=2048. Only AWS Support raises this limit.",
    ),
    Remedy(
        "Maximum total concurrency … across all serverless endpoints",
        r"(?i)total concurrency",
        "Deploy with a smaller --parameter ClassifyConcurrency, or ask Service Quotas for more of "
        "L-96300102.",
    ),
    Remedy(
        "ResourceLimitExceeded … ml.… for endpoint usage",
        r"ml\.\S+ for endpoint usage",
        "Ask Service Quotas for that instance type, or deploy with --parameter "
        "EndpointCapacity=2048.",
    ),
    Remedy(
        "decreases account's UnreservedConcurrentExecution below its minimum",
        r"UnreservedConcurrentExecution",
        'Set Reserve to "no" in template.yaml (Mappings, Limits), or ask for more concurrent '
        "executions of Lambda.",
    ),
    Remedy(
        "did not pass the ping health check",
        r"(?i)ping health check",
        "Read the log group /aws/sagemaker/Endpoints/STACK-…: the container did not start.",
    ),
    Remedy(
        "Unsupported manifest media type",
        r"Unsupported manifest media type",
        "Push the image of ServingImageUri with Docker v2 media types and one platform, without an "
        "index.",
    ),
    Remedy(
        "is not authorized to perform",
        r"(?i)not authorized to perform|AccessDenied",
        "Give the deploying user or role that action: docs/first-deployment.md has the policy.",
    ),
    Remedy(
        "State machine is being deleted",
        r"(?i)state ?machine is being deleted|StateMachineDeleting",
        "Wait some minutes: Step Functions still deletes the former stack's state machine.",
    ),
    Remedy(
        "already exists",
        r"(?i)already exists",
        "A former stack of this name left it: imagedrop destroy lists such leftovers.",
    ),
    Remedy(
        "Rate exceeded",
        r"(?i)rate exceeded|throttl",
        "AWS was busy: deploy again.",
    ),
    Remedy(
        "Unrecognized resource types",
        r"Unrecognized resource types",
        "The region does not have that service: choose another with --region.",
    ),
)
UNKNOWN = "Look up the message in AWS's documentation of the resource."


def next_step(reason: str) -> str:
    """Returns the next step after AWS's message."""
    return next((each.next_step for each in REMEDIES if re.search(each.pattern, reason)), UNKNOWN)
