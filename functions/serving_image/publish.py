"""Makes the serving image and pushes it into a repository; pushes nothing that is there."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_image.container_registry import (
    DOCKER_INDEX,
    OCI_INDEX,
    Repository,
    sha256_digest,
)
from serving_image.layer import Layer, write_layer
from serving_image.manifest import Blob, append_layer, digest_for, layers_of

MAX_CONFIG_BYTES = 4 * 1024 * 1024
TAG_CHARACTERS = 32

# SageMaker asks on 8080 and starts `serve`. Nothing is written at run time: a serverless endpoint
# has a read-only root and a user without a home.
SETTINGS: dict[str, Any] = {
    "Cmd": ["serve"],
    "Entrypoint": None,
    "Env": [
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
        "ORT_DISABLE_TELEMETRY=1",
        "HOME=/tmp",
    ],
    "ExposedPorts": {"8080/tcp": {}},
    "User": "10001",
    "WorkingDir": "/",
}


@dataclass(frozen=True, slots=True)
class Base:
    """The image to build on.

    Attributes:
        repository: where it is.
        digest: of its index or its manifest.
        architecture: as registries name it: `amd64`.
        site_packages: folder of its Python's packages, without the first slash.
    """

    repository: Repository
    digest: str
    architecture: str
    site_packages: str


@dataclass(frozen=True, slots=True)
class Content:
    """The files and settings that the image adds to its base."""

    wheels: Sequence[Path]
    serve: bytes

    def tag(self, base_digest: str) -> str:
        """Returns a tag that is the same for the same image and different for another one."""
        described = {
            "base": base_digest,
            # It compiles the byte code and compresses the layer.
            "python": sys.version,
            "serve": sha256_digest(self.serve),
            "settings": SETTINGS,
            "wheels": {each.name: _file_digest(each) for each in self.wheels},
        }
        text = json.dumps(described, sort_keys=True).encode()
        return hashlib.sha256(text).hexdigest()[:TAG_CHARACTERS]


def publish(
    base: Base,
    content: Content,
    target: Repository,
    work_folder: Path,
    on_step: Callable[[str], None],
) -> str:
    """Pushes the image unless it is there; returns its tag.

    Layers go over in one stream; only the new layer is on disk. The manifest comes last, so a tag
    is there only when all of its image is. An interrupted push continues at the next call.

    Raises:
        RegistryError: a registry cannot be reached, denies access, or sends other bytes.
        BaseImageError: the base image cannot be used.
        LayerError: a wheel cannot be used.
        OSError: a file cannot be read or written.
    """
    tag = content.tag(base.digest)
    if target.has_manifest(tag):
        on_step(f"{target.name}:{tag} is there")
        return tag
    base_config, base_layers = _read_base(base)
    layer = write_layer(
        content.wheels,
        base.site_packages,
        {"usr/local/bin/serve": content.serve},
        work_folder / "layer.tar.gz",
    )
    image = append_layer(base_config, base_layers, layer, SETTINGS)
    for blob in base_layers:
        _copy(base.repository, target, blob, on_step)
    _push_layer(target, layer, on_step)
    _push_bytes(target, image.config)
    digest = target.push_manifest(tag, image.manifest)
    on_step(f"pushed {target.name}:{tag}, {digest}")
    return tag


def _read_base(base: Base) -> tuple[dict[str, Any], list[Blob]]:
    """Reads configuration and layers of the base; every byte is under the pinned digest."""
    found = base.repository.manifest(base.digest)
    if found.media_type in (DOCKER_INDEX, OCI_INDEX):
        found = base.repository.manifest(digest_for(found.to_json(), base.architecture))
    manifest = found.to_json()
    config = base.repository.blob(manifest["config"]["digest"], MAX_CONFIG_BYTES)
    return json.loads(config), layers_of(manifest)


def _copy(
    source: Repository, target: Repository, blob: Blob, on_step: Callable[[str], None]
) -> None:
    if target.has_blob(blob.digest):
        return
    on_step(f"copying {blob.digest}, {blob.size_bytes:,} bytes")
    target.push_blob(blob.digest, blob.size_bytes, source.chunks(blob.digest))


def _push_layer(target: Repository, layer: Layer, on_step: Callable[[str], None]) -> None:
    if target.has_blob(layer.digest):
        return
    on_step(f"pushing {layer.digest}, {layer.size_bytes:,} bytes")
    with layer.path.open("rb") as file:
        target.push_blob(layer.digest, layer.size_bytes, file)


def _push_bytes(target: Repository, content: bytes) -> None:
    digest = sha256_digest(content)
    if not target.has_blob(digest):
        target.push_blob(digest, len(content), iter([content]))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
