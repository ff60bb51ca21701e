"""Configuration and manifest of the serving image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from serving_image.container_registry import sha256_digest
from serving_image.layer import Layer
from serving_image.manifest import BaseImageError, Blob, append_layer, digest_for, layers_of

LAYER = Layer(Path("layer.tar.gz"), "sha256:new", "sha256:new-plain", 7)
BASE_CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["PATH=/usr/local/bin", "LANG=C"], "Cmd": ["python3"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:base-plain"]},
    "history": [{"created_by": "debian"}],
}
BASE_LAYERS = [Blob("sha256:base", 5)]


def image(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    made = append_layer(BASE_CONFIG, BASE_LAYERS, LAYER, settings)
    config: dict[str, Any] = json.loads(made.config)
    return config, made.manifest.to_json()


def test_manifest_is_dockers_and_names_one_platform() -> None:
    # SageMaker: "Unsupported manifest media type application/vnd.oci.image.manifest.v1+json".
    _, manifest = image({})

    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert {each["mediaType"] for each in manifest["layers"]} == {
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    }
    assert "manifests" not in manifest


def test_layer_comes_on_top_of_the_base() -> None:
    config, manifest = image({})

    assert [each["digest"] for each in manifest["layers"]] == ["sha256:base", "sha256:new"]
    assert config["rootfs"]["diff_ids"] == ["sha256:base-plain", "sha256:new-plain"]
    assert len(config["history"]) == 2


def test_manifest_addresses_the_configuration() -> None:
    made = append_layer(BASE_CONFIG, BASE_LAYERS, LAYER, {})

    entry = made.manifest.to_json()["config"]
    assert entry["digest"] == sha256_digest(made.config)
    assert entry["size"] == len(made.config)


def test_variables_are_added_to_those_of_the_base() -> None:
    config, _ = image({"Cmd": ["serve"], "Env": ["LANG=de", "HOME=/tmp"]})

    assert config["config"]["Env"] == ["PATH=/usr/local/bin", "LANG=de", "HOME=/tmp"]
    assert config["config"]["Cmd"] == ["serve"]


def test_same_image_has_the_same_bytes() -> None:
    first = append_layer(BASE_CONFIG, BASE_LAYERS, LAYER, {"Cmd": ["serve"]})
    second = append_layer(BASE_CONFIG, BASE_LAYERS, LAYER, {"Cmd": ["serve"]})

    assert first == second


def test_base_without_the_architecture_is_refused() -> None:
    index = {"manifests": [{"digest": "d", "platform": {"os": "linux", "architecture": "arm64"}}]}

    with pytest.raises(BaseImageError, match="linux/amd64"):
        digest_for(index, "amd64")


def test_base_with_layers_that_docker_does_not_know_is_refused() -> None:
    kind = "application/vnd.oci.image.layer.v1.tar+zstd"
    manifest = {"layers": [{"mediaType": kind, "digest": "d", "size": 1}]}

    with pytest.raises(BaseImageError, match="zstd"):
        layers_of(manifest)


def test_configuration_of_another_image_is_refused() -> None:
    with pytest.raises(BaseImageError, match="do not fit"):
        append_layer(BASE_CONFIG, [*BASE_LAYERS, Blob("sha256:more", 1)], LAYER, {})
