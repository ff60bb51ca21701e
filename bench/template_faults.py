"""Measures which of the most important faults scanners find, and which the rules find.

The first seeded fault of each of the kinds below, one at a time, in the translated template:
cfn-lint, checkov and cfn-guard, with the exceptions of `make lint`, against the rules of
tests/unit/template. Each scanner looks at all of the templates in one run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.unit.template.seeding import SEEDED, broken, objections
from tools import scanners

KINDS = (
    "every_route_but_the_page_asks_for_credentials",
    "no_other_site_may_call_the_api",
    "the_api_is_throttled",
    "one_failed_image_does_not_repeat_its_batch",
    "failed_messages_become_dead_letters",
    "only_the_images_bucket_of_this_account_sends",
    "no_service_is_a_confused_deputy",
    "only_tls_is_answered",
    "no_role_writes_where_images_are_dropped",
    "permissions_settings_and_outputs_are_as_reviewed",
    "every_function_has_its_own_role_within_the_boundary",
    "dead_letters_are_kept_for_14_days",
    "visibility_outlasts_the_function",
    "concurrency_is_limited_as_the_endpoint_is",
    "executions_are_reserved_only_when_asked",
    "credentials_are_the_default_and_tokens_name_their_audience",
    "data_outlives_the_stack",
    "alarms_watch_every_step_and_notify",
)


def main() -> int:
    faults = {kind: next(fault for rule, fault in SEEDED if rule == kind) for kind in KINDS}
    found: list[set[str]] = []
    with tempfile.TemporaryDirectory(prefix="imagedrop-faults-") as name:
        translated, decided = Path(name) / "translated", Path(name) / "decided"
        translated.mkdir()
        decided.mkdir()
        for index, (rule, fault) in enumerate(faults.items()):
            template = broken(fault)
            (translated / f"{index}.json").write_text(json.dumps(template))
            (decided / f"{index}.json").write_text(json.dumps(scanners.decided(template)))
            found.append({"policy"} if objections(template, rule) else set())
        scans: list[tuple[str, Callable[[Path], set[int]], Path]] = [
            ("cfn-guard", by_cfn_guard, decided),
            ("checkov", by_checkov, translated),
            ("cfn-lint", by_cfn_lint, translated),
        ]
        for scanner, scan, folder in scans:
            for index in scan(folder):
                found[index].add(scanner)
    for kind, finders in zip(KINDS, found, strict=True):
        print(f"{kind:60} {' '.join(sorted(finders)) or '-'}")
    for scanner in ("cfn-lint", "checkov", "cfn-guard", "policy"):
        print(f"{scanner}: {sum(scanner in finders for finders in found)} of {len(found)}")
    together = sum(bool(finders - {"policy"}) for finders in found)
    print(f"the three scanners together: {together} of {len(found)}")
    return 0


def by_cfn_lint(folder: Path) -> set[int]:
    output = _run(
        scanners.PROJECT / ".venv/bin/cfn-lint", "--format", "parseable", f"{folder}/*.json"
    )
    return {int(Path(line.partition(":")[0]).stem) for line in output.splitlines() if line}


def by_checkov(folder: Path) -> set[int]:
    output = _run(
        scanners.TOOLS / "lint/bin/checkov",
        *("--config-file", str(scanners.PROJECT / "tools/checkov.yaml")),
        *("--output", "json", "--directory", str(folder)),
    )
    failed = json.loads(output)["results"]["failed_checks"]
    return {int(Path(each["file_path"]).stem) for each in failed}


def by_cfn_guard(folder: Path) -> set[int]:
    output = _run(
        scanners.cfn_guard_binary(),
        *("validate", "--rules", str(scanners.GUARD_PACKAGE / "rules/control-tower/cfn-guard")),
        *("--data", str(folder), "--output-format", "json"),
        *("--show-summary", "none", "--structured"),
    )
    return {
        int(Path(report["name"]).stem)
        for report in json.loads(output)
        if {each["Rule"]["name"] for each in report["not_compliant"]}
        - scanners.GUARD_EXCEPTIONS.keys()
    }


def _run(program: Path, *arguments: str) -> str:
    return subprocess.run(
        [str(program), *arguments],
        env=scanners.own_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,  # findings are a status of their own
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
