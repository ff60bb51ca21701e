"""The image of this bundle: its wheels and its `serve` on a pinned image of Python."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from serving_image.container_registry import Repository, connections
from serving_image.publish import Base, Content, publish

BUNDLE = Path(__file__).resolve().parents[1]
# Python 3.13 on Debian, Docker's official image, as Amazon ECR Public mirrors it: 2026-08-23. The
# function's own Python is 3.13 too: it compiles the byte code.
BASE_REGISTRY_URL = "https://public.ecr.aws"
BASE_REPOSITORY = "docker/library/python"
BASE_DIGEST = "sha256:ffb752e139c0a19692a43af8d8523b274222dd68eebad5d583b45c2201c6e30a"
BASE_SITE_PACKAGES = "usr/local/lib/python3.13/site-packages"
# Serverless endpoints run on x86_64 only.
BASE_ARCHITECTURE = "amd64"


def publish_own_image(
    repository_uri: str, authorization: str, on_step: Callable[[str], None]
) -> str:
    """Publishes the image of this bundle; returns its address, tag included.

    Args:
        repository_uri: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME`.
        authorization: the Authorization header for that registry.

    Raises:
        RegistryError: a registry cannot be reached, denies access, or sends other bytes.
        BaseImageError, LayerError, OSError: as their names say.
    """
    host, _, name = repository_uri.partition("/")
    http = connections()
    base = Base(
        Repository(http, BASE_REGISTRY_URL, BASE_REPOSITORY),
        BASE_DIGEST,
        BASE_ARCHITECTURE,
        BASE_SITE_PACKAGES,
    )
    content = Content(
        sorted((BUNDLE / "wheels").glob("*.whl")), (BUNDLE / "serving_image" / "serve").read_bytes()
    )
    target = Repository(http, f"https://{host}", name, authorization)
    with tempfile.TemporaryDirectory() as folder:
        tag = publish(base, content, target, Path(folder), on_step)
    return f"{repository_uri}:{tag}"
