"""Base image + layer → the configuration and the manifest of the new image.

The manifest is Docker's (image manifest version 2, schema 2), not OCI's: SageMaker refuses an OCI
manifest ("Unsupported manifest media type application/vnd.oci.image.manifest.v1+json"), and a
list of platforms too. The layers and the configuration have the same bytes in both formats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving_image.container_registry import DOCKER_MANIFEST, Manifest, sha256_digest
from serving_image.layer import Layer

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
GZIP_LAYERS = frozenset({DOCKER_LAYER, "application/vnd.oci.image.layer.v1.tar+gzip"})

# The image's creation time, fixed, because the same content must give the same bytes.
CREATED = "1980-01-01T00:00:00Z"


class BaseImageError(Exception):
    """The base image cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer or a configuration: how the registry addresses it, and its size."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Image:
    """The parts of the new image besides its layers."""

    config: bytes
    manifest: Manifest


def digest_for(index: Mapping[str, Any], architecture: str) -> str:
    """Returns the digest of the Linux image for an architecture, such as `amd64`.

    Raises:
        BaseImageError: the index has none.
    """
    for each in index["manifests"]:
        platform = each.get("platform", {})
        if platform.get("os") == "linux" and platform.get("architecture") == architecture:
            digest: str = each["digest"]
            return digest
    raise BaseImageError(f"The base image is not made for linux/{architecture}.")


def layers_of(manifest: Mapping[str, Any]) -> list[Blob]:
    """Returns the layers of a manifest, lowest first.

    Raises:
        BaseImageError: a layer is compressed in a way that Docker's format does not know.
    """
    others = {each["mediaType"] for each in manifest["layers"]} - GZIP_LAYERS
    if others:
        raise BaseImageError(f"The base image has layers of type {', '.join(sorted(others))}.")
    return [Blob(each["digest"], each["size"]) for each in manifest["layers"]]


def append_layer(
    base_config: Mapping[str, Any],
    base_layers: Sequence[Blob],
    layer: Layer,
    settings: Mapping[str, Any],
) -> Image:
    """Returns the base image with one more layer and other settings.

    Args:
        base_config: the base's configuration.
        base_layers: the base's layers, lowest first.
        settings: replaces members of the configuration's `config`; `Env` is added to the base's.

    Raises:
        BaseImageError: the configuration does not fit the layers.
    """
    if len(base_config["rootfs"]["diff_ids"]) != len(base_layers):
        raise BaseImageError("The base image's configuration and manifest do not fit together.")
    config = {
        "architecture": base_config["architecture"],
        "os": base_config["os"],
        "created": CREATED,
        "config": _settings(base_config.get("config", {}), settings),
        "rootfs": {
            "type": "layers",
            "diff_ids": [*base_config["rootfs"]["diff_ids"], layer.diff_id],
        },
        "history": [
            *base_config.get("history", []),
            {"created": CREATED, "created_by": "imagedrop", "comment": "what serving needs"},
        ],
    }
    config_bytes = _json(config)
    layers = [*base_layers, Blob(layer.digest, layer.size_bytes)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _entry(DOCKER_CONFIG, Blob(sha256_digest(config_bytes), len(config_bytes))),
        "layers": [_entry(DOCKER_LAYER, each) for each in layers],
    }
    return Image(config_bytes, Manifest(_json(manifest), DOCKER_MANIFEST))


def _settings(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base) | dict(settings)
    variables = dict(each.split("=", 1) for each in base.get("Env") or [])
    variables |= dict(each.split("=", 1) for each in settings.get("Env") or [])
    merged["Env"] = [f"{name}={value}" for name, value in variables.items()]
    return merged


def _entry(media_type: str, blob: Blob) -> dict[str, Any]:
    return {"mediaType": media_type, "size": blob.size_bytes, "digest": blob.digest}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
