"""Each scanner finds a fault, and every exception has its reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from imagedrop.deployment.regions import ENABLED_BY_DEFAULT
from tools import scanners
from tools.paths import PROJECT
from tools.template import load, translate
from training.launch import images

MOST_SKIPS = 4

# Starts a scanner, which `make check` does not install.
scans = pytest.mark.thorough
needs_lint_venv = pytest.mark.usefixtures("lint_venv")
needs_cfn_guard = pytest.mark.skipif(
    not scanners.GUARD_PACKAGE.exists(), reason="`make lint` installs cfn-guard, where npm is"
)

needs_asl_validator = pytest.mark.skipif(
    not scanners.ASL_VALIDATOR.exists(), reason="`make lint` installs it, where npm is"
)


@pytest.fixture
def lint_venv() -> None:
    """`make test` installs it: without it these tests fail, and are not passed over."""
    checkov = scanners.TOOLS / "lint/bin/checkov"
    assert checkov.exists(), "install it with: make lint-setup"


def test_checkov_skips_at_most_four_rules_each_with_its_reason() -> None:
    lines = (PROJECT / "tools/checkov.yaml").read_text().splitlines()
    skips = [place for place, line in enumerate(lines) if re.fullmatch(r"  - CKV\w+", line)]
    assert 0 < len(skips) <= MOST_SKIPS
    assert all(lines[place - 1].startswith("  # ") for place in skips)


def test_nothing_is_excepted_inside_the_code_or_template_without_a_word() -> None:
    assert "checkov" not in scanners.TEMPLATE.read_text()
    assert "cfn-lint" not in scanners.TEMPLATE.read_text()
    for folder in scanners.SCANNED_CODE:
        for path in (PROJECT / folder).rglob("*.py"):
            for line in path.read_text().splitlines():
                if "# nosec" in line:
                    assert re.search(r"# nosec B\d+", line), f"{path}: {line}"


def test_the_decided_template_has_no_conditions_left() -> None:
    decided = scanners.decided(translate(load()))
    text = json.dumps(decided["Resources"])
    assert "Fn::If" not in text
    assert "AWS::NoValue" not in text
    assert {"DataKey", "AlarmTopic"} <= decided["Resources"].keys()
    assert "EndpointScalableTarget" not in decided["Resources"]


def test_no_database_of_vulnerabilities_is_asked_unless_one_is_named() -> None:
    outcome = scanners.pip_audit("")
    assert outcome.summary.startswith("skipped")
    assert outcome.findings == ()


@scans
def test_cfn_lint_finds_a_value_that_aws_does_not_take(tmp_path: Path) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 100_000}}
    broken = _written(tmp_path / "broken.json", ImagesQueue=queue)
    (finding,) = scanners.cfn_lint(broken).findings
    assert finding.endswith("E3034:100000 is greater than the maximum of 43200")


def _written(path: Path, **resources: object) -> Path:
    """A template of few resources, at which scanners look sooner than at all."""
    path.write_text(json.dumps({"Resources": resources}))
    return path


@scans
@needs_lint_venv
def test_checkov_finds_a_public_bucket(tmp_path: Path) -> None:
    bucket = translate(load())["Resources"]["ImagesBucket"]
    private = _written(tmp_path / "private.json", ImagesBucket=bucket)
    del bucket["Properties"]["PublicAccessBlockConfiguration"]
    public = _written(tmp_path / "public.json", ImagesBucket=bucket)
    findings = scanners.checkov(private, public).findings
    assert any("public.json AWS::S3::Bucket.ImagesBucket" in each for each in findings)
    assert not any("private.json" in each for each in findings)


@scans
@needs_cfn_guard
def test_cfn_guard_finds_a_key_that_does_not_rotate_and_an_exception_that_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exceptions = {"dynamodb_pitr_enabled_check": "no reason"}
    monkeypatch.setattr(scanners, "GUARD_EXCEPTIONS", exceptions)
    template = load()
    template["Resources"] = {"DataKey": template["Resources"]["DataKey"]}
    template["Resources"]["DataKey"]["Properties"]["EnableKeyRotation"] = False
    broken = _written(tmp_path / "broken.json", **scanners.decided(template)["Resources"])
    rotation, exception = scanners.cfn_guard(broken).findings
    assert "rotation" in rotation
    assert exception == "dynamodb_pitr_enabled_check is kept now: no exception"


@scans
@needs_lint_venv
def test_parliament_finds_an_action_that_aws_does_not_know(tmp_path: Path) -> None:
    template = translate(load())
    role = template["Resources"]["EndpointRole"]["Properties"]
    role["Policies"][0]["PolicyDocument"]["Statement"].append(
        {"Effect": "Allow", "Action": "s3:GetObjects", "Resource": "arn:aws:s3:::a/*"}
    )
    (finding,) = scanners.parliament(template, tmp_path / "policies").findings
    assert finding.startswith("UNKNOWN_ACTION EndpointRole-endpoint")


@scans
@needs_asl_validator
def test_asl_validator_finds_a_state_of_an_unknown_type(tmp_path: Path) -> None:
    definition = json.loads(scanners.STATE_MACHINE.read_text())
    definition["States"]["Reconcile"]["Type"] = "Job"
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(definition))
    *_, finding = scanners.asl_validator(wrong, tmp_path).findings
    assert "/States/Reconcile/Type is invalid" in finding


def test_every_region_that_aws_enables_is_looked_at() -> None:
    assert len(ENABLED_BY_DEFAULT) == 17
    assert images.ACCOUNTS.keys() >= ENABLED_BY_DEFAULT
