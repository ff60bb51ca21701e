"""A plan leaves no resource of the template out, whatever is added to it."""

from __future__ import annotations

import pytest

from imagedrop.deployment.template import KINDS, load_template
from imagedrop.estimates.idle import FREE_WHILE_IDLE, PAID_WHILE_IDLE
from tools.template import load, translate


def test_every_type_of_the_template_has_a_name_and_a_price() -> None:
    types = {each["Type"] for each in load()["Resources"].values()}
    types = {each for each in types if not each.startswith("Custom::")}
    translated = {each["Type"] for each in translate(load())["Resources"].values()}
    assert {each for each in types | translated if not each.startswith("Custom::")} <= KINDS.keys()
    assert types <= FREE_WHILE_IDLE | PAID_WHILE_IDLE
    assert FREE_WHILE_IDLE.isdisjoint(PAID_WHILE_IDLE)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, {"DataKey": True, "EndpointScalableTarget": False, "AlarmTopic": False}),
        ({"AlarmEmail": "a@b.c"}, {"AlarmTopic": True}),
        ({}, {"ServingRepository": True, "ServingImage": True, "PublishImageFunction": True}),
        (
            {"ServingImageUri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1"},
            {"ServingRepository": False, "ServingImage": False, "PublishImageFunction": False},
        ),
        ({"EndpointCapacity": "ml.m5.xlarge"}, {"EndpointScalableTarget": True}),
        ({"DataKeyArns": "arn:aws:kms:us-east-1:123456789012:key/1"}, {"DataKey": False}),
    ],
)
def test_conditions_decide_what_is_created(given: dict[str, str], made: dict[str, bool]) -> None:
    template = load_template()
    created = template.created(template.values(given))
    assert {each: each in created for each in made} == made


def test_every_condition_of_the_template_can_be_evaluated() -> None:
    template = load_template()
    values = template.values({})
    for name in template.conditions:
        assert template._holds({"Condition": name}, values) in (True, False)
