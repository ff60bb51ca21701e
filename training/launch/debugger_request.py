"""The members of a training job's request that switch on SageMaker Debugger.

AWS closed Debugger to new customers on 2026-07-30, so this is for accounts that have it; `imagedrop
inspect` answers the same questions without it. Tuning jobs cannot use it: `TrainingJobDefinition`
has none of these members. The shapes are those of
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules-api.html.
"""

from __future__ import annotations

from typing import Any

RELU_INPUTS = ".*relu_input"
SAVE_INTERVAL = 100  # steps; a saved step of a fully trained ResNet50 has 190 MB
SYSTEM_INTERVAL_MS = 500


def debugger_request(s3_output: str, rule_image: str) -> dict[str, Any]:
    """Builds the members to merge into the arguments of CreateTrainingJob.

    The training container must have smdebug, which PyTorch images from 2.11 on lack.

    Args:
        s3_output: `s3://BUCKET/PREFIX` for tensors and profiles; not a prefix of the data.
        rule_image: AWS's image of the rules in the job's region
            (`sagemaker.core.image_uris.retrieve("debugger", region)`).
    """
    return {
        "DebugHookConfig": hook_configuration(s3_output),
        "DebugRuleConfigurations": [
            rule_configuration("VanishingGradient", rule_image, {"threshold": "0.0000001"}),
            rule_configuration(
                "PoorWeightInitialization", rule_image, {"activation_inputs_regex": RELU_INPUTS}
            ),
        ],
        "ProfilerConfig": profiler_configuration(s3_output),
        "ProfilerRuleConfigurations": [rule_configuration("ProfilerReport", rule_image, {})],
    }


def hook_configuration(s3_output: str) -> dict[str, Any]:
    """The tensors to save: gradients, losses, and the inputs of rectifiers."""
    collections = {
        "gradients": {},
        "losses": {},
        "relu_input": {"include_regex": RELU_INPUTS},
    }
    return {
        "S3OutputPath": f"{s3_output}/tensors",
        "CollectionConfigurations": [
            {
                "CollectionName": name,
                "CollectionParameters": {**parameters, "save_interval": str(SAVE_INTERVAL)},
            }
            for name, parameters in collections.items()
        ],
    }


def rule_configuration(name: str, image: str, parameters: dict[str, str]) -> dict[str, Any]:
    """A built-in rule; `rule_to_invoke` selects it in the image of all rules."""
    return {
        "RuleConfigurationName": name,
        "RuleEvaluatorImage": image,
        "RuleParameters": {"rule_to_invoke": name, **parameters},
    }


def profiler_configuration(s3_output: str) -> dict[str, Any]:
    """System metrics only: Debugger does not profile PyTorch 2.0 and later."""
    return {
        "S3OutputPath": f"{s3_output}/profile",
        "ProfilingIntervalInMilliseconds": SYSTEM_INTERVAL_MS,
    }
