"""The addresses of AWS's containers."""

from __future__ import annotations

import pytest

from training.errors import TrainingError
from training.launch.images import has_gpu, rule_image, training_image


@pytest.mark.parametrize(
    ("region", "machine", "image"),
    [
        (
            "us-east-1",
            "ml.m5.xlarge",
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.14-cpu-amzn2023-sagemaker",
        ),
        (
            "eu-south-2",
            "ml.g5.xlarge",
            "503227376785.dkr.ecr.eu-south-2.amazonaws.com/pytorch:2.14-cu133-amzn2023-sagemaker",
        ),
    ],
)
def test_image_is_that_of_region_and_machine(region: str, machine: str, image: str) -> None:
    assert training_image(region, machine) == image


@pytest.mark.parametrize("of", [lambda region: training_image(region, "ml.m5.xlarge"), rule_image])
def test_unknown_region_says_what_to_do(of: object) -> None:
    with pytest.raises(TrainingError) as raised:
        of("xx-nowhere-1")  # type: ignore[operator]

    assert "--image" in raised.value.next_step


def test_gpus_are_told_by_the_family() -> None:
    assert has_gpu("ml.g4dn.xlarge")
    assert has_gpu("ml.p3.2xlarge")
    assert not has_gpu("ml.m5.xlarge")
    assert not has_gpu("ml.c5.2xlarge")
