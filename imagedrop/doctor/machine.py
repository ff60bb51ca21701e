"""Check this machine and the local cloud; each problem comes with its remedy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from imagedrop.doctor.checks import Check
from localcloud import environments
from localcloud.record import read

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "functions" / "default_model" / "model.tar.gz"
# Virtual environments, build folder and the local cloud's state, rounded up.
NEEDED_FREE_BYTES = 2 * 1024**3

EMULATOR_VERSION = "import importlib.metadata as m; print('MiniStack', m.version('ministack'))"


def run_checks() -> list[Check]:
    """Runs all checks."""
    return [check() for check in CHECKS]


def check_python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return Check("python", ok, version, "" if ok else "Install Python 3.11 or newer.")


def check_tool(name: str, program: Path, *arguments: str) -> Check:
    if not program.exists():
        return Check(name, False, f"{program} is missing", "Set it up with: make setup")
    answer = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    found = (answer.stdout or answer.stderr).strip().splitlines()
    return Check(
        name,
        answer.returncode == 0,
        found[-1] if found else f"exit code {answer.returncode}",
        "" if answer.returncode == 0 else f"Repair it: rm -r {program.parents[1]}; make setup",
    )


def check_archive() -> Check:
    ok = ARCHIVE.is_file()
    return Check(
        "default model",
        ok,
        f"{ARCHIVE.relative_to(ROOT)} {'found' if ok else 'missing'}",
        "" if ok else "git checkout functions/default_model, or rebuild it with: make model",
    )


def check_disk() -> Check:
    free = shutil.disk_usage(ROOT).free
    ok = free >= NEEDED_FREE_BYTES
    return Check(
        "disk",
        ok,
        f"{free / 1024**3:.1f} GB free",
        "" if ok else "Free 2 GB of disk space.",
    )


def check_cloud() -> Check:
    home = environments.default_home()
    found = read(home)
    alive = {each.name: each.is_alive for each in found.processes} if found else {}
    if found is None or not any(alive.values()):
        return Check("local cloud", True, "not running", "Start it with: imagedrop up")
    dead = [name for name, is_alive in alive.items() if not is_alive]
    if dead:
        finding = f"died: {', '.join(dead)}; logs in {home / 'logs'}"
        return Check("local cloud", False, finding, "Restart it: imagedrop down && imagedrop up")
    return Check("local cloud", True, f"{found.endpoint_url}; logs in {home / 'logs'}")


CHECKS: tuple[Callable[[], Check], ...] = (
    check_python,
    lambda: check_tool("SAM CLI", environments.sam(), "--version"),
    lambda: check_tool("emulator", environments.emulator_python(), "-c", EMULATOR_VERSION),
    check_archive,
    check_disk,
    check_cloud,
)
