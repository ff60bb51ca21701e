"""A base image made of Debian's packages: a Python, and nothing else that serving needs."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from serving_image.container_registry import (
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    Repository,
    sha256_digest,
)

_LIBRARIES = ("libc6", "libexpat1", "zlib1g", "libffi8", "libbz2-1.0", "liblzma5")
_MORE_LIBRARIES = ("libstdc++6", "libgcc-s1", "dash")
_MERGED = ("bin", "lib", "lib64", "sbin")


@dataclass(frozen=True, slots=True)
class DebianBase:
    """The base's layer and where its Python looks for packages."""

    layer: bytes
    plain_digest: str
    python_version: str
    site_packages: str


def make_base(folder: Path) -> DebianBase:
    """Downloads Debian's packages by name and packs them as one layer.

    Raises:
        CalledProcessError: a package is not to be had, or this is no Debian.
    """
    version = _debian_python()
    python = f"python{version}"
    ssl = "libssl3t64" if _is_package("libssl3t64") else "libssl3"
    packages = [*_LIBRARIES, *_MORE_LIBRARIES, ssl, f"{python}-minimal", f"lib{python}-minimal"]
    packages.append(f"lib{python}-stdlib")
    downloads = folder / "debs"
    downloads.mkdir()
    subprocess.run(["apt-get", "download", "-q", *packages], cwd=downloads, check=True)
    root = _unpack(downloads, folder)
    site_packages = f"usr/local/lib/{python}/dist-packages"
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (root / "usr/local/bin/python").symlink_to(f"/usr/bin/{python}")
    # As the official image has it; the serving layer must hide it.
    (root / site_packages / "pip").mkdir(parents=True)
    (root / site_packages / "pip" / "__init__.py").write_text("")
    for name in ("tmp", "proc", "dev", "opt/ml/model"):
        (root / name).mkdir(parents=True, exist_ok=True)
    plain = _tar(root)
    layer = gzip.compress(plain, 1, mtime=0)
    return DebianBase(layer, sha256_digest(plain), version, site_packages)


def push_base(repository: Repository, base: DebianBase) -> str:
    """Pushes the base as an OCI index with one platform; returns the index's digest."""
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": [f"PATH={os.defpath}:/usr/local/bin"], "Cmd": ["python"]},
            "rootfs": {"type": "layers", "diff_ids": [base.plain_digest]},
        }
    ).encode()
    for blob in (base.layer, config):
        repository.push_blob(sha256_digest(blob), len(blob), iter([blob]))
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _entry("application/vnd.oci.image.config.v1+json", config),
            "layers": [_entry("application/vnd.oci.image.layer.v1.tar+gzip", base.layer)],
        }
    ).encode()
    repository.push_manifest(sha256_digest(manifest), Manifest(manifest, OCI_MANIFEST))
    platform = {"platform": {"os": "linux", "architecture": "amd64"}}
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [_entry(OCI_MANIFEST, manifest) | platform],
        }
    ).encode()
    return repository.push_manifest("latest", Manifest(index, OCI_INDEX))


def _entry(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": sha256_digest(content), "size": len(content)}


def _debian_python() -> str:
    command = ["apt-cache", "depends", "python3-minimal"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    [version] = {
        line.split("python")[1].removesuffix("-minimal")
        for line in map(str.strip, lines.splitlines())
        if "Depends: python3." in line and line.endswith("-minimal")
    }
    return version


def _is_package(name: str) -> bool:
    command = ["apt-cache", "show", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _unpack(downloads: Path, folder: Path) -> Path:
    root = folder / "rootfs"
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for number, package in enumerate(sorted(downloads.glob("*.deb"))):
        unpacked = folder / f"deb-{number}"
        subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        for name in _MERGED:
            if (unpacked / name).is_dir():
                _merge(unpacked / name, root / "usr" / name)
                shutil.rmtree(unpacked / name)
        _merge(unpacked, root)
    return root


def _merge(source: Path, destination: Path) -> None:
    subprocess.run(["cp", "-a", f"{source}/.", destination], check=True)


def _tar(root: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(root, arcname=".")
    return buffer.getvalue()
