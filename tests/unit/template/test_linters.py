"""cfn-lint, on the template as it is written and on what the SAM transform makes of it."""

from __future__ import annotations

import json
from pathlib import Path

from cfnlint.api import lint_file  # type: ignore[import-untyped]

from tests.unit.template.translation import TEMPLATE, Json


def test_the_written_template_is_clean() -> None:
    assert findings(TEMPLATE) == []


def test_the_translated_template_is_clean(template: Json, tmp_path: Path) -> None:
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(template))
    assert findings(path) == []


def test_a_fault_in_the_translated_template_is_found(template: Json, tmp_path: Path) -> None:
    broken = json.loads(json.dumps(template))
    broken["Resources"]["ImagesQueue"]["Properties"]["VisibilityTimeout"] = 100_000
    path = tmp_path / "translated.json"
    path.write_text(json.dumps(broken))
    assert findings(path) != []


def findings(path: Path) -> list[str]:
    return [
        f"{match.rule.id} line {match.linenumber}: {match.message}" for match in lint_file(path)
    ]
