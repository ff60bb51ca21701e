"""UpdateEndpoint's members beside the configuration: the deployment, and kept properties."""

from __future__ import annotations

from localcloud.sagemaker.errors import validation_exception
from localcloud.sagemaker.state import Record


def check_update(request: Record) -> None:
    """Refuses a timeout that its waits fill, as API_BlueGreenUpdatePolicy says.

    The words that AWS has for it are not known.
    """
    policy = request.get("DeploymentConfig", {}).get("BlueGreenUpdatePolicy", {})
    timeout = policy.get("MaximumExecutionTimeoutInSeconds")
    waits = policy.get("TerminationWaitInSeconds", 0) + policy.get(
        "TrafficRoutingConfiguration", {}
    ).get("WaitIntervalInSeconds", 0)
    if timeout is not None and timeout <= waits:
        raise validation_exception(
            f"MaximumExecutionTimeoutInSeconds ({timeout}) should be larger than the total wait "
            f"time specified in TerminationWaitInSeconds and WaitIntervalInSeconds ({waits})."
        )


def retain(endpoint: Record, configured: Record) -> Record:
    """The variant that an update starts.

    An update resets the number of instances to the configuration's, unless it retains the
    variants' properties (API_UpdateEndpoint, RetainAllVariantProperties).
    """
    running = endpoint.get("Variants", [])
    same = [each for each in running if each["VariantName"] == configured["VariantName"]]
    if not endpoint.get("Retains") or not same or "ServerlessConfig" in configured:
        return configured
    count = same[0].get("InitialInstanceCount", configured["InitialInstanceCount"])
    return {**configured, "InitialInstanceCount": count}
