"""The bills of materials name what ships, and nothing else."""

from __future__ import annotations

import hashlib
import json
import tarfile

from tools.paths import PROJECT
from tools.sbom import ARCHIVE, archive_components, on_default_runtime, pins
from tools.template import load


def test_every_file_of_the_archive_is_listed_with_its_hash() -> None:
    listed = {
        str(each["bom-ref"]).removeprefix("model.tar.gz/"): each["hashes"][0]["content"]
        for each in archive_components(ARCHIVE)
    }
    with tarfile.open(ARCHIVE) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                assert listed.pop(member.name) == hashlib.sha256(file.read()).hexdigest()
    assert listed == {}


def test_the_weights_are_those_of_the_model_card() -> None:
    (weights,) = [
        each for each in archive_components(ARCHIVE) if each["type"] == "machine-learning-model"
    ]
    with tarfile.open(ARCHIVE) as tar:
        file = tar.extractfile("model.json")
        assert file is not None
        card = json.load(file)
    assert weights["hashes"] == [{"alg": "SHA-256", "content": card["weights_sha256"]}]
    assert (weights["name"], weights["version"]) == (card["name"], card["version"])


def test_the_functions_packages_are_those_of_the_default_runtime() -> None:
    listed = on_default_runtime(pins(PROJECT / "functions" / "requirements.txt"))
    names = [pin.name for pin in listed]
    assert names.count("pillow") == 1
    assert set(names) >= {"aws-lambda-powertools", "pillow"}
    assert load()["Parameters"]["PythonRuntime"]["Default"] == "python3.13"
