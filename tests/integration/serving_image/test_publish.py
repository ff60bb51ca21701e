"""The serving image, from a registry with a base into a registry of the stack."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from serving_image.container_registry import (
    OCI_INDEX,
    OCI_MANIFEST,
    DeniedError,
    DigestError,
    MissingError,
    RegistryError,
    Repository,
    UnreachableError,
    connections,
    sha256_digest,
)
from serving_image.publish import Base, Content, publish
from tests.unit.serving_image.made_wheels import make_wheel

from .registry_server import Store, running_registry

SITE = "usr/local/lib/python3.13/site-packages"
PASSWORD = "QVdTOnNlY3JldA=="


def tar_with(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def add_base(store: Store) -> str:
    """Puts a base image with one layer into the registry, in OCI's format; returns its digest."""
    plain = tar_with("etc/os-release", b"small")
    layer = gzip.compress(plain)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/usr/local/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [sha256_digest(plain)]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"digest": sha256_digest(config), "size": len(config), "mediaType": "c"},
            "layers": [
                {
                    "digest": sha256_digest(layer),
                    "size": len(layer),
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                }
            ],
        }
    ).encode()
    platform = {"os": "linux", "architecture": "amd64"}
    entry = {"digest": sha256_digest(manifest), "size": len(manifest), "platform": platform}
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    store.blobs |= {sha256_digest(layer): layer, sha256_digest(config): config}
    store.manifests[sha256_digest(manifest)] = (OCI_MANIFEST, manifest)
    store.manifests[sha256_digest(index)] = (OCI_INDEX, index)
    return sha256_digest(index)


@dataclass
class World:
    """Two registries and the content to publish."""

    public: Store
    private: Store
    base: Base
    content: Content
    target: Repository
    folder: Path

    def publish(self) -> str:
        return publish(self.base, self.content, self.target, self.folder, lambda _step: None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    public = Store(needs_token=True, blobs_are_elsewhere=True)
    private = Store(password=PASSWORD)
    wheel = make_wheel(tmp_path, "birds", {"birds.py": b"WREN = 1\n"})
    digest = add_base(public)
    http = connections()
    with running_registry(public) as public_url, running_registry(private) as private_url:
        yield World(
            public,
            private,
            Base(Repository(http, public_url, "library/python"), digest, "amd64", SITE),
            Content([wheel], b"#!/bin/sh\n"),
            Repository(http, private_url, "imagedrop/serving", f"Basic {PASSWORD}"),
            tmp_path,
        )


def published_manifest(world: World, tag: str) -> dict[str, Any]:
    media_type, content = world.private.manifests[tag]
    assert media_type == "application/vnd.docker.distribution.manifest.v2+json"
    manifest: dict[str, Any] = json.loads(content)
    return manifest


def names_in(layer: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return tar.getnames()


def test_image_has_the_base_and_the_wheels(world: World) -> None:
    manifest = published_manifest(world, world.publish())

    layers = [world.private.blobs[each["digest"]] for each in manifest["layers"]]
    assert "etc/os-release" in names_in(layers[0])
    assert f"{SITE}/birds.py" in names_in(layers[1])
    config = json.loads(world.private.blobs[manifest["config"]["digest"]])
    assert config["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(gzip.decompress(each)).hexdigest()}" for each in layers
    ]
    assert config["config"]["Cmd"] == ["serve"]
    assert "ORT_DISABLE_TELEMETRY=1" in config["config"]["Env"]


def test_same_content_is_not_pushed_twice(world: World) -> None:
    tag = world.publish()
    uploaded = list(world.private.uploaded)

    assert world.publish() == tag
    assert world.private.uploaded == uploaded


def test_other_content_is_another_image_and_the_base_is_not_pushed_again(world: World) -> None:
    first = world.publish()
    uploaded = len(world.private.uploaded)
    world.content = Content([], b"#!/bin/sh\n")

    assert world.publish() != first
    assert len(world.private.uploaded) == uploaded + 2  # the new layer and its configuration
    assert first in world.private.manifests


def test_interrupted_push_continues(world: World) -> None:
    tag = world.publish()
    manifests = dict(world.private.manifests)
    world.private.manifests.clear()
    uploaded = list(world.private.uploaded)

    assert world.publish() == tag
    assert world.private.manifests == manifests
    assert world.private.uploaded == uploaded


def test_credentials_are_not_sent_to_the_host_that_stores_the_blobs(world: World) -> None:
    world.publish()

    assert world.public.seen_elsewhere
    assert set(world.public.seen_elsewhere) == {None}


def test_replaced_base_is_refused_and_nothing_is_published(world: World) -> None:
    media_type, content = world.public.manifests[world.base.digest]
    world.public.manifests[world.base.digest] = (media_type, content + b" ")

    with pytest.raises(DigestError, match="nothing was published"):
        world.publish()
    assert world.private.manifests == {}


def test_damaged_layer_of_the_base_is_refused(world: World) -> None:
    for digest, content in world.public.blobs.items():
        if content.startswith(b"\x1f\x8b"):
            world.public.blobs[digest] = content[:-1] + b"x"

    with pytest.raises(DigestError):
        world.publish()
    assert world.private.manifests == {}
    assert not [each for each in world.private.blobs.values() if each.endswith(b"x")]


def test_base_that_is_gone_is_named(world: World) -> None:
    world.public.manifests.clear()

    with pytest.raises(MissingError, match="library/python"):
        world.publish()


def test_a_missing_permission_of_the_role_is_reported(world: World) -> None:
    world.private.refused_methods = frozenset({"POST", "PATCH", "PUT"})

    with pytest.raises(DeniedError, match="policy of the function's role"):
        world.publish()


def test_wrong_password_is_denied(world: World) -> None:
    world.private.password = "another"

    with pytest.raises(DeniedError):
        world.publish()


def test_no_way_to_the_registry_says_what_to_do(world: World) -> None:
    nowhere = Repository(connections(), "http://127.0.0.1:9", "library/python")
    world.base = Base(nowhere, world.base.digest, "amd64", SITE)

    with pytest.raises(UnreachableError, match=r"NAT gateway.*ServingImageUri"):
        world.publish()


def test_token_is_asked_for_only_over_the_same_scheme(world: World) -> None:
    https = Repository(connections(), "https://127.0.0.1:9", "x")

    with pytest.raises(RegistryError, match="asks for a token"):
        https._token('Bearer realm="http://127.0.0.1:9/token"')
