"""``make bench``: ours beside others, in one page. Other benchmarks are commands of their own."""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil

from bench.standing import Section
from training.reports.page import render

ROOT = Path(__file__).parents[1]
# Each with its module, which is imported when its turn comes: some need torch.
SECTIONS = {
    "start": "start",
    "prepare": "preparations",
    "serving": "serving",
    "drop": "drop",
    "bulk": "bulk_peers",
    "tuning": "tuning",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures ours beside others, section by section, and writes a page and its "
        "figures as JSON. It takes about 15 minutes on two quiet cores.",
        epilog="Example: python -m bench prepare serving. Each other benchmark behind a figure of "
        "the docs is a command of its own: python -m bench.NAME --help.",
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench", help="folder")
    options = parser.parse_args()
    if unknown := set(options.sections) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    about = machine()
    found = []
    for name in options.sections or SECTIONS:
        began = perf_counter()
        found.append(import_module(f"bench.{SECTIONS[name]}").standing())
        print(f"\n{found[-1].text()}\n  took {perf_counter() - began:.0f} s\n", flush=True)
        write(options.out, about, found)
    print(f"{options.out / 'standing.html'} and standing.json beside it")


def machine() -> dict[str, Any]:
    """The machine and versions that the figures depend on."""
    processor, flags = _processor()
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor,
        "vnni": bool({"avx512_vnni", "avx_vnni"} & set(flags)),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _processor() -> tuple[str, list[str]]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {name.strip(): value.strip() for name, value in fields.items()}
    return named.get("model name", platform.machine()), named.get("flags", "").split()


def write(folder: Path, about: dict[str, Any], sections: list[Section]) -> None:
    """Writes the sections so far, so that a failing one loses no other."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"machine": about, "sections": [each.to_json() for each in sections]}
    (folder / "standing.json").write_text(json.dumps(figures, indent=2) + "\n")
    charts = [(each, [(way, each.median(way)) for way in each.values]) for each in sections]
    page = render(
        Path(__file__).with_name("standing.html"),
        machine=about,
        sections=charts,
        one_decimal=lambda value: f"{value:.1f}",
    )
    (folder / "standing.html").write_text(page)


if __name__ == "__main__":
    main()
