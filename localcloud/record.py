"""A local cloud as `up` records it in `<home>/cloud.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from localcloud.processes import StartedProcess


@dataclass(frozen=True, slots=True)
class Strictness:
    """The checks that are as strict as on AWS; a change needs new processes.

    Attributes:
        enforce_iam: refuse calls that the roles' policies do not allow.
        new_account: refuse requests over SageMaker's quotas of a new account.
    """

    enforce_iam: bool = False
    new_account: bool = False


LENIENT = Strictness()


@dataclass(frozen=True, slots=True)
class Cloud:
    """The addresses of a local cloud and what is deployed there; stored in `<home>/cloud.json`."""

    endpoint_url: str  # every AWS service but SageMaker
    sagemaker_url: str  # SageMaker's control plane and runtime
    region: str
    stack_name: str
    outputs: dict[str, str]  # of the stack; ApiUrl as it is reachable here
    enforce_iam: bool
    deployed: str | None  # fingerprint of what was deployed
    processes: tuple[StartedProcess, ...]
    new_account: bool = False  # absent in the files of 0.2 and before

    @property
    def strictness(self) -> Strictness:
        return Strictness(self.enforce_iam, self.new_account)

    @property
    def is_running(self) -> bool:
        """Whether every process of it is alive."""
        return bool(self.processes) and all(process.is_alive for process in self.processes)


def read(home: Path) -> Cloud | None:
    """The cloud in `home` as it was last recorded; None where there was none."""
    try:
        content = json.loads((home / "cloud.json").read_text())
    except FileNotFoundError:
        return None
    content["processes"] = tuple(StartedProcess(**process) for process in content["processes"])
    return Cloud(**content)


def write(home: Path, cloud: Cloud) -> None:
    """Records a cloud, at once or not at all."""
    path = home / "cloud.json"
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(cloud), indent=2) + "\n")
    temporary.replace(path)
