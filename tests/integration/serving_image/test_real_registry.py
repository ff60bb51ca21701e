"""The serving image with real tools: Docker's registry, skopeo, umoci, bubblewrap.

A serverless endpoint is a sandbox: another user, a read-only root, no /dev/shm, a home that is not
there. The image runs here in one like it, without Docker. What this cannot show: seccomp rules and
the exact devices of AWS's sandbox. Debian has the tools: apt-get install docker-registry skopeo
umoci bubblewrap.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archive.reading import extract_archive
from serving_image.container_registry import Repository, connections
from serving_image.publish import SETTINGS, Base, Content, publish

from .debian_base import make_base, push_base

ROOT = Path(__file__).resolve().parents[3]
IMAGE = ROOT / "functions" / "serving_image"
TOOLS = ("docker-registry", "skopeo", "umoci", "bwrap", "apt-get")
# The endpoint's default is 2,048 MB; the smallest that SageMaker offers is this.
LIMIT_MEGABYTES = 1024
USER = 993

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    assert not missing, f"install {', '.join(missing)} (Debian packages; bwrap is in bubblewrap)"
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / "registry.yml"
    settings.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "error"},
                "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
                "http": {"addr": f"127.0.0.1:{port}"},
            }
        )
    )
    with subprocess.Popen(["docker-registry", "serve", settings]) as process:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the registry does not start"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def published(registry_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the image, made by the very code that runs in the function."""
    folder = tmp_path_factory.mktemp("image")
    debian = make_base(folder)
    http = connections()
    source = Repository(http, registry_url, "library/python")
    base = Base(source, push_base(source, debian), "amd64", debian.site_packages)
    content = Content(wheels_for(debian.python_version, folder), _serve())
    target = Repository(http, registry_url, "imagedrop/serving")
    tag = publish(base, content, target, folder, print)
    assert publish(base, content, target, folder, print) == tag
    return f"{registry_url.removeprefix('http://')}/{target.name}:{tag}"


def _serve() -> bytes:
    return (IMAGE / "serve").read_bytes()


def wheels_for(python_version: str, folder: Path) -> list[Path]:
    """The image's pins as wheels for the base's Python."""
    platforms = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64")
    pins = [
        line
        for line in (ROOT / "functions" / "serving_image" / "requirements.in")
        .read_text()
        .splitlines()
        if line and not line.startswith("#")
    ]
    tag = python_version.replace(".", "")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        + ["--implementation", "cp", "--python-version", python_version]
        + [part for abi in (f"cp{tag}", "abi3", "none") for part in ("--abi", abi)]
        + [part for platform in platforms for part in ("--platform", platform)]
        + ["--dest", str(folder / "wheels"), *pins],
        check=True,
    )
    return sorted((folder / "wheels").glob("*.whl"))


def test_sagemaker_would_take_the_manifest(published: str) -> None:
    command = ["skopeo", "inspect", "--tls-verify=false", f"docker://{published}"]
    raw = json.loads(subprocess.check_output([*command, "--raw"]))
    described = json.loads(subprocess.check_output(command))

    assert raw["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert described["Architecture"] == "amd64"
    assert set(SETTINGS["Env"]) <= set(described["Env"])
    compressed_bytes = sum(each["size"] for each in raw["layers"])
    print(f"compressed: {compressed_bytes / 1e6:.0f} MB")
    assert compressed_bytes < 300e6


@pytest.fixture(scope="module")
def root_folder(published: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    destination = f"oci:{folder}/oci:serving"
    subprocess.run(
        ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{published}", destination],
        check=True,
    )
    command = ["umoci", "unpack", "--rootless", "--image", destination.removeprefix("oci:")]
    subprocess.run([*command, folder / "bundle"], check=True)
    return folder / "bundle" / "rootfs"


def test_image_has_no_pip_and_is_small(root_folder: Path) -> None:
    assert not list(root_folder.rglob("pip"))
    assert list(root_folder.rglob("onnxruntime/__init__.py"))
    size_bytes = sum(file.lstat().st_size for file in root_folder.rglob("*"))
    print(f"unpacked: {size_bytes / 1e6:.0f} MB")
    assert size_bytes < 300e6


def run_in_sandbox(root_folder: Path, model: Path, limit_megabytes: int) -> dict[str, Any]:
    """Runs `inside.py` as a serverless endpoint would run the image."""
    driver = root_folder / "driver"
    if not driver.exists():
        driver.mkdir()
        shutil.copy(Path(__file__).with_name("inside.py"), driver)
        shutil.copytree(ROOT / "demo" / "photos", driver / "photos")
    devices = [
        part
        for device in ("null", "zero", "random", "urandom")
        for part in ("--dev-bind", f"/dev/{device}", f"/dev/{device}")
    ]
    variables = dict(each.split("=", 1) for each in SETTINGS["Env"]) | {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/home/sbx_user1051",  # Lambda's; it is not there
        "LIMIT_MEGABYTES": str(limit_megabytes),
    }
    answer = subprocess.run(
        ["bwrap", "--unshare-all", "--uid", str(USER), "--gid", str(USER), "--die-with-parent"]
        + ["--ro-bind", str(root_folder), "/", "--proc", "/proc", "--tmpfs", "/dev", *devices]
        + ["--remount-ro", "/dev", "--ro-bind", str(model), "/opt/ml/model"]
        + ["--size", str(1024**3), "--tmpfs", "/tmp", "--clearenv"]  # noqa: S108
        + [part for pair in variables.items() for part in ("--setenv", *pair)]
        + ["python", "/driver/inside.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("limit_megabytes", [LIMIT_MEGABYTES, 3072])
def test_image_serves_in_a_sandbox_like_that_of_a_serverless_endpoint(
    root_folder: Path, tmp_path: Path, limit_megabytes: int
) -> None:
    model = tmp_path / "model"
    extract_archive(ROOT / "functions" / "default_model" / "model.tar.gz", model)

    found = run_in_sandbox(root_folder, model, limit_megabytes)

    print(json.dumps(found, indent=1))
    assert found["ready_cpu_seconds"] <= 5
    assert len(found["statuses"]) == 25
    assert set(found["statuses"]) == {200, 400}
    assert {"unknown_dog", "pug", "not_a_dog", "truncated", "not_an_image"} == set(found["labels"])
    assert found["user"] == USER
    assert not found["has_dev_shm"]
    assert found["writable"] == []
    assert found["left_in_tmp"] == []
    assert found["exit_code"] == -signal.SIGTERM
