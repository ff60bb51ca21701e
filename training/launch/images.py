"""Addresses of AWS's containers in ECR, by region.

AWS publishes the accounts ("Available Deep Learning Containers images"); a slow test compares them
with `sagemaker.core.image_uris.retrieve` for every region here.
"""

from __future__ import annotations

from training.errors import TrainingError

TORCH_VERSION = "2.14"
# The newest image with smdebug, the library of Debugger's hook.
DEBUGGER_TORCH_VERSION = "2.10.0"
DEBUGGER_PYTHON = "py313"
CUDA = "cu133"

_EVERYWHERE = "763104351884"
_REGIONS_OF_EVERYWHERE = (
    *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    *("ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)
ACCOUNTS = dict.fromkeys(_REGIONS_OF_EVERYWHERE, _EVERYWHERE) | {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "me-west-1": "124382933778",
    "mx-central-1": "637423239942",
}
RULE_ACCOUNTS = {
    "af-south-1": "314341159256",
    "ap-east-1": "199566480951",
    "ap-northeast-1": "430734990657",
    "ap-northeast-2": "578805364391",
    "ap-northeast-3": "479947661362",
    "ap-south-1": "904829902805",
    "ap-southeast-1": "972752614525",
    "ap-southeast-2": "184798709955",
    "ca-central-1": "519511493484",
    "eu-central-1": "482524230118",
    "eu-north-1": "314864569078",
    "eu-south-1": "563282790590",
    "eu-west-1": "929884845733",
    "eu-west-2": "250201462417",
    "eu-west-3": "447278800020",
    "me-south-1": "986000313247",
    "sa-east-1": "818342061345",
    "us-east-1": "503895931360",
    "us-east-2": "915447279597",
    "us-west-1": "685455198987",
    "us-west-2": "895741380848",
}
OWN_IMAGE = "Use a region that has it, or give your own image with --image."


def training_image(region: str, instance_type: str) -> str:
    """The address of AWS's PyTorch training container for the machine, with CPUs or GPUs.

    Raises:
        TrainingError: AWS is not known to have one in this region.
    """
    kind = CUDA if has_gpu(instance_type) else "cpu"
    tag = f"{TORCH_VERSION}-{kind}-amzn2023-sagemaker"
    return _address(ACCOUNTS, region, f"pytorch:{tag}")


def debugger_training_image(region: str, instance_type: str) -> str:
    """The address of the older training container that has smdebug, for jobs with Debugger.

    Raises:
        TrainingError: AWS is not known to have one in this region.
    """
    kind = "gpu" if has_gpu(instance_type) else "cpu"
    tag = f"{DEBUGGER_TORCH_VERSION}-{kind}-{DEBUGGER_PYTHON}"
    return _address(ACCOUNTS, region, f"pytorch-training:{tag}")


def rule_image(region: str) -> str:
    """The address of the container that evaluates Debugger's rules and writes ProfilerReport.

    Raises:
        TrainingError: Debugger is not available in this region.
    """
    return _address(RULE_ACCOUNTS, region, "sagemaker-debugger-rules:latest")


def has_gpu(instance_type: str) -> bool:
    """Returns whether a machine such as `ml.g5.xlarge` has NVIDIA GPUs: families g and p."""
    family = instance_type.removeprefix("ml.").partition(".")[0]
    return family[:1] in {"g", "p"}


def _address(accounts: dict[str, str], region: str, image: str) -> str:
    if region not in accounts:
        repository = image.partition(":")[0]
        raise TrainingError(f"AWS has no {repository} container in {region}.", OWN_IMAGE)
    return f"{accounts[region]}.dkr.ecr.{region}.amazonaws.com/{image}"
