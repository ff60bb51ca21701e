"""``python -m tools.sbom FOLDER``: bills of materials of what we ship, CycloneDX 1.6 JSON.

`lambda.cdx.json`: the functions' bundle as the default runtime gets it. `archive.cdx.json`: the
default model's archive, its weights and each of its files with its hash. `cli.cdx.json`: the
command line. cyclonedx-bom writes the packages, we add the archive; each document is validated
against the schema, and the same sources give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from pip_requirements_parser import InstallRequirement, RequirementsFile

from archive.card import ModelCard
from archive.reading import WEIGHTS_NAME
from tools.paths import LINT, PROJECT

ARCHIVE = PROJECT / "functions" / "default_model" / "model.tar.gz"
SCHEMA_VERSION = "1.6"
DEFAULT_RUNTIME = {"python_version": "3.13", "python_full_version": "3.13.0"}

Json = dict[str, Any]


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m tools.sbom FOLDER", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in bills().items():
        path = folder / f"{name}.cdx.json"
        path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
        validate(path)
        print(f"{path}: {len(document['components'])} components")
    return 0


def bills() -> dict[str, Json]:
    """Return each bill of materials by its name."""
    functions = pins(PROJECT / "functions" / "requirements.txt")
    runtime = pins(PROJECT / "requirements" / "runtime.txt")
    serving = pins(PROJECT / "model" / "requirements.txt")
    archive = archive_components(ARCHIVE)
    return {
        "lambda": bill("imagedrop-functions", on_default_runtime(functions), archive),
        "archive": bill("imagedrop-default-model", serving, archive),
        "cli": bill("imagedrop", runtime, archive),
    }


def pins(path: Path) -> list[InstallRequirement]:
    """Return the requirements of a compiled requirement file."""
    found: list[InstallRequirement] = RequirementsFile.from_file(str(path)).requirements
    return found


def bill(name: str, packages: list[InstallRequirement], others: list[Json]) -> Json:
    """Return a CycloneDX document without time and serial number, so that it can be compared."""
    done = subprocess.run(
        [
            *(str(LINT / "cyclonedx-py"), "requirements", "--output-reproducible"),
            *("--schema-version", SCHEMA_VERSION, "--output-format", "JSON", "-"),
        ],
        input="\n".join(
            " ".join([f"{pin.name}{pin.specifier}", *(f"--hash={h}" for h in pin.hash_options)])
            for pin in packages
        ),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    document: Json = json.loads(done.stdout)
    document["metadata"]["component"] = {"type": "application", "name": name, "bom-ref": name}
    document["components"] += others
    return document


def on_default_runtime(requirements: list[InstallRequirement]) -> list[InstallRequirement]:
    """Return the requirements that pip installs on the template's default runtime."""
    return [
        pin
        for pin in requirements
        if pin.marker is None or pin.marker.evaluate(dict(DEFAULT_RUNTIME))
    ]


def archive_components(archive: Path) -> list[Json]:
    """Return components for the weights and each file of the archive, with their sha256."""
    with tarfile.open(archive) as tar:
        contents = {
            member.name: file.read()
            for member in tar
            if (file := tar.extractfile(member)) is not None
        }
    card = ModelCard.from_json(json.loads(contents["model.json"]))
    return [
        {
            "type": "machine-learning-model" if name == WEIGHTS_NAME else "file",
            "name": card.name if name == WEIGHTS_NAME else name,
            **({"version": card.version} if name == WEIGHTS_NAME else {}),
            "bom-ref": f"model.tar.gz/{name}",
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
        }
        for name, content in contents.items()
    ]


def validate(path: Path) -> None:
    """Validate a document against CycloneDX's own schema.

    Raises:
        subprocess.CalledProcessError: the document does not follow it.
    """
    subprocess.run(
        [str(LINT / "python"), str(Path(__file__).with_name("validate_sbom.py")), str(path)],
        check=True,
    )


if __name__ == "__main__":
    sys.exit(main())
