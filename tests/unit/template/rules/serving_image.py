"""The serving image that the stack makes."""

from __future__ import annotations

import re

from serving_image import own_image
from tests.unit.template.rules.registry import Faults, rule, value
from tools.paths import PROJECT
from tools.template import Json, properties, references, text

MAKEFILE = PROJECT / "functions" / "Makefile"
# AWS's names of processors, Docker's and those of wheels.
PROCESSORS = {"x86_64": ("amd64", "x86_64"), "arm64": ("arm64", "aarch64")}


@rule
def an_image_of_your_own_makes_none(template: Json) -> Faults:
    if template["Conditions"].get("MakesImage") != {"Fn::Equals": [{"Ref": "ServingImageUri"}, ""]}:
        yield "MakesImage"
    for name, resource in template["Resources"].items():
        of_the_image = name.startswith(("PublishImage", "ServingImage", "ServingRepository"))
        if of_the_image and resource.get("Condition") != "MakesImage":
            yield f"{name}: made although a parameter names an image"


@rule
def the_model_runs_in_the_image_that_was_made_or_named(template: Json) -> Faults:
    image = {
        "Fn::If": [
            "MakesImage",
            {"Fn::GetAtt": ["ServingImage", "ImageUri"]},
            {"Ref": "ServingImageUri"},
        ]
    }
    if value(template, "Model.PrimaryContainer.Image") != image:
        yield "Model"
    if value(template, "ProposeModelFunction.Environment.Variables.SERVING_IMAGE") != image:
        yield "ProposeModelFunction"


@rule
def an_image_cannot_change_under_its_tag_and_goes_with_the_stack(template: Json) -> Faults:
    repository = properties(template, "ServingRepository")
    if repository.get("ImageTagMutability") != "IMMUTABLE":
        yield "a tag can be moved to another image"
    if repository.get("EmptyOnDelete") is not True:
        yield "the stack cannot be deleted while the repository has an image"


@rule
def a_new_bundle_makes_its_image(template: Json) -> Faults:
    version = value(template, "ServingImage.CodeVersion")
    if not any(each.startswith("PublishImageFunctionVersion") for each in references(version)):
        yield f"ServingImage does not change with the bundle: {text(version)}"


@rule
def the_image_is_made_with_its_own_python_for_a_serverless_endpoint(template: Json) -> Faults:
    """Byte code, wheels and base image agree."""
    function = properties(template, "PublishImageFunction")
    base = re.search(r"python(3\.\d+)/", own_image.BASE_SITE_PACKAGES)
    python = base[1] if base else ""
    if function["Runtime"] != f"python{python}":
        yield f"{function['Runtime']} compiles for Python {python}"
    if function["Architectures"] != ["x86_64"]:
        yield "serverless endpoints run on x86_64"
    docker, wheels = PROCESSORS[function["Architectures"][0]]
    if docker != own_image.BASE_ARCHITECTURE:
        yield f"the base image is for {own_image.BASE_ARCHITECTURE}"
    makefile = MAKEFILE.read_text()
    if re.findall(r"--python-version (\S+)", makefile) != [python]:
        yield f"wheels for another Python than {python}"
    if {each.rsplit("_", 2)[-2:] == wheels.split("_") for each in _platforms(makefile)} != {True}:
        yield f"wheels for another processor than {wheels}"


def _platforms(makefile: str) -> list[str]:
    return re.findall(r"--platform (\S+)", makefile)
