"""samconfig.toml: the settings that SAM and ``imagedrop deploy`` saved for AWS."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table

SAMCONFIG = Path(__file__).parents[1] / "samconfig.toml"
ENVIRONMENT = "default"
_OVERRIDES = "parameter_overrides"


@dataclass(frozen=True, slots=True)
class SavedDeployment:
    """The place and the template parameters of a deployment.

    Attributes:
        region: None when neither SAM nor we saved one.
        profile: an AWS profile; None for the credential chain's default.
    """

    stack_name: str
    region: str | None = None
    profile: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


def read_deployment(path: Path | None = None) -> SavedDeployment:
    """Reads the settings of plain ``sam deploy``: `deploy` takes precedence over `global`.

    ``sam deploy --guided`` saves region, profile and parameters under `deploy`.
    """
    sections = tomllib.loads((path or SAMCONFIG).read_text())[ENVIRONMENT]
    values: dict[str, Any] = {}
    for section in ("global", "deploy"):
        values |= sections.get(section, {}).get("parameters", {})
    return SavedDeployment(
        values["stack_name"],
        values.get("region"),
        values.get("profile"),
        parse_overrides(values.get(_OVERRIDES, [])),
    )


def save_deployment(saved: SavedDeployment) -> None:
    """Writes a deployment under `global`, so that ``sam build && sam deploy`` repeats it.

    Comments and other settings of the file stay. The same settings under `deploy` are removed,
    because they would take precedence, and `sam build` does not read them.
    """
    document = tomlkit.parse(SAMCONFIG.read_text())
    values = {
        "stack_name": saved.stack_name,
        "region": saved.region,
        "profile": saved.profile,
        _OVERRIDES: " ".join(overrides(saved.parameters)),
    }
    section = _parameters(document, "global")
    for name, value in values.items():
        _parameters(document, "deploy").pop(name, None)
        if value:
            section[name] = value
        else:
            section.pop(name, None)
    SAMCONFIG.write_text(tomlkit.dumps(document))


def _parameters(document: tomlkit.TOMLDocument, section: str) -> Table:
    table = document.setdefault(ENVIRONMENT, tomlkit.table())
    found: Table = table.setdefault(section, tomlkit.table()).setdefault(
        "parameters", tomlkit.table()
    )
    return found


def overrides(parameters: Mapping[str, str]) -> list[str]:
    """Returns one word a parameter, as SAM reads them on the command line and in its file."""
    return [f'{name}="{_escaped(value)}"' for name, value in sorted(parameters.items())]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def parse_overrides(found: str | list[str]) -> dict[str, str]:
    """Reads ``parameter_overrides``, which SAM writes as one text or as a list."""
    words = (
        shlex.split(found) if isinstance(found, str) else [shlex.split(each)[0] for each in found]
    )
    return {name: value for name, _, value in (each.partition("=") for each in words)}
