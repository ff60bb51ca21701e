"""Scanners of template, policies, state machine, code and packages, run as programs.

checkov pins other botocores and an old boto3 than the product; none of these tools is imported.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagedrop.deployment.regions import ENABLED_BY_DEFAULT
from tools.paths import LINT, PROJECT, TOOLS
from tools.policies import policies
from tools.template import TEMPLATE, load, translate, with_conditions

SCANNED_CODE = ("functions", "imagedrop", "localcloud", "model", "tools", "training")
STATE_MACHINE = PROJECT / "bulk.asl.json"
_AN_ARN = "arn:aws:lambda:us-east-1:123456789012:function:any"
AUDITED = ("runtime.txt", "train.txt", "test.txt", "lint.txt")
ASL_VALIDATOR = TOOLS / "cfn-guard/node_modules/.bin/asl-validator"
GUARD_PACKAGE = TOOLS / "cfn-guard/node_modules/@cdklabs/cdk-validator-cfnguard"
# The conditions under which cfn-guard looks at the template: it takes every Fn::If for a fault.
AS_DEPLOYED = {
    "Serverless",
    "MakesImage",
    "MakesKey",
    "HasAlarmEmail",
    "AnotherSource",
    "InVpc",
    "Reserves",
}
# Control Tower's rules that do not hold, and why.
GUARD_EXCEPTIONS = {
    "lambda_function_public_access_prohibited_check": "reads Fn::Sub in SourceArn as none; "
    "only_this_stacks_api_and_rule_call_a_function looks at it",
    "lambda_inside_vpc_check": "reads a list parameter as an empty list; "
    "functions_can_run_in_a_vpc looks at it",
    "s3_bucket_policy_ssl_requests_only_check": "reads Fn::Sub in Resource as none; "
    "only_tls_is_answered looks at it",
    "s3_bucket_logging_enabled_check": "as CKV_AWS_18 in tools/checkov.yaml",
    "s3_bucket_versioning_enabled_check": "as CKV_AWS_21 in tools/checkov.yaml",
    "s3_event_notifications_enabled_check": "wants notifications of buckets that trigger nothing",
    "s3_bucket_object_lock_enabled_check": "what is locked cannot be erased on request",
    "sqs_dlq_check": "wants a dead-letter queue of the dead-letter queue",
    "step_functions_state_machine_logging_enabled_check": "each image is in the report of its run; "
    "logs of executions hold their input, and need log deliveries on every resource",
    "cloudwatch_log_group_retention_period_check": "wants a year; lines are of use for 30 days, "
    "and keys of images should not be kept longer",
}
# parliament's issues that do not hold, by name and a part of the detail, and why.
PARLIAMENT_EXCEPTIONS = {
    ("NO_VERSION", ""): "SAM writes none; the version differs by policy variables, which none uses",
    ("UNKNOWN_CONDITION_FOR_ACTION", "lambda:SourceFunctionArn"): "Lambda gives it with every call "
    "that a function's code makes",
    ("RESOURCE_MISMATCH", "sagemaker:DescribeLineageGroup"): "one of sagemaker:Describe*, of which "
    "the boundary allows those of this account; no function calls it",
    ("RESOURCE_MISMATCH", "states:DescribeExecution"): "wants executions of an express state "
    "machine too; this one is standard",
    ("RESOURCE_MISMATCH", "states:ListExecutions"): "wants map runs too; the API lists executions "
    "of the state machine alone",
    ("RESOURCE_STAR", "ec2:CreateNetworkInterface"): "in a VPC; Lambda and SageMaker require it",
}


@dataclass(frozen=True)
class Outcome:
    """A scanner's result: a summary for people, findings, and whether it is not installed."""

    summary: str
    findings: tuple[str, ...] = ()
    missing: bool = False


@dataclass(frozen=True)
class Scanner:
    name: str
    run: Callable[[], Outcome]


def all_of(folder: Path, audit_service: str) -> list[Scanner]:
    """Every scanner.

    Args:
        folder: where the translated templates are written.
        audit_service: `pypi` or `osv`, to be asked for known vulnerabilities; empty for none.
    """
    translated = translate(load())
    as_translated = _written(folder / "translated.json", translated)
    as_decided = _written(folder / "decided.json", decided(translated))
    every_region = sorted(ENABLED_BY_DEFAULT)
    return [
        Scanner("cfn-lint, as written, in 17 regions", lambda: cfn_lint(TEMPLATE, every_region)),
        Scanner("cfn-lint, translated", lambda: cfn_lint(as_translated)),
        Scanner("checkov, as written and translated", lambda: checkov(TEMPLATE, as_translated)),
        Scanner("cfn-guard, translated", lambda: cfn_guard(as_decided)),
        Scanner("parliament", lambda: parliament(translated, folder / "policies")),
        Scanner("asl-validator", lambda: asl_validator(STATE_MACHINE, folder)),
        Scanner("bandit", bandit),
        Scanner("pip-audit", lambda: pip_audit(audit_service)),
    ]


def decided(template: dict[str, Any]) -> dict[str, Any]:
    """The template with every condition decided, and without the resources that are then absent."""
    there = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource.get("Condition", "Serverless") in AS_DEPLOYED
    }
    found: dict[str, Any] = with_conditions(template | {"Resources": there}, AS_DEPLOYED)
    return found


def cfn_lint(template: Path, regions: Sequence[str] = ("us-east-1",)) -> Outcome:
    done = _run(
        PROJECT / ".venv/bin/cfn-lint",
        *("--format", "parseable", "--regions", *regions, "--", str(template)),
    )
    return _lines(done.stdout)


def parliament(translated: dict[str, Any], folder: Path) -> Outcome:
    """AWS's actions, resource formats and condition keys, against each IAM policy.

    Args:
        translated: the template.
        folder: where the policies are written; made when it is not there.
    """
    folder.mkdir(exist_ok=True)
    names = [name for name, _ in policies(translated)]
    for name, document in policies(translated):
        _written(folder / f"{name}.json", document)
    done = _run(LINT / "parliament", "--directory", str(folder), "--json")
    if not done.stdout and done.returncode:
        raise RuntimeError(f"parliament looked at nothing: {done.stderr[-500:]}")
    issues = [json.loads(line) for line in done.stdout.splitlines()]
    unused = set(PARLIAMENT_EXCEPTIONS)
    findings = []
    for issue in issues:
        excepted = {
            (name, part)
            for name, part in PARLIAMENT_EXCEPTIONS
            if name == issue["issue"] and part in str(issue["detail"])
        }
        unused -= excepted
        if not excepted:
            place = Path(issue["location"]["filepath"]).stem
            findings.append(f"{issue['issue']} {place}: {issue['detail'] or issue['title']}")
    findings += [f"{name} {part}: no longer found, so no exception" for name, part in unused]
    return Outcome(
        f"{len(names)} policies, {len(PARLIAMENT_EXCEPTIONS)} kinds of findings excepted with a "
        "reason",
        tuple(findings),
    )


def asl_validator(definition: Path, folder: Path) -> Outcome:
    """The state machine against the schema of Amazon States Language that others wrote.

    Args:
        definition: with placeholders, which the template's DefinitionSubstitutions fill.
        folder: where the filled definition is written.
    """
    if not ASL_VALIDATOR.exists():
        return Outcome("skipped: it comes in an npm package, and there is no npm", missing=True)
    filled = folder / "state-machine.json"
    text = definition.read_text().replace("${AWSPartition}", "aws")
    filled.write_text(re.sub(r"\$\{\w+Arn\}", _AN_ARN, text))
    done = _run(ASL_VALIDATOR, "--json-path", str(filled))
    return _lines(done.stdout + done.stderr) if done.returncode else Outcome("valid")


def checkov(*templates: Path) -> Outcome:
    """Checkov's rules for CloudFormation; it needs seconds to start, so it looks at all at once."""
    done = _run(
        LINT / "checkov",
        *("--config-file", str(PROJECT / "tools/checkov.yaml"), "--output", "json"),
        *("--file", *map(str, templates)),
    )
    report = json.loads(done.stdout)
    if "results" not in report:
        raise RuntimeError(f"checkov looked at nothing: {done.stdout[:500]} {done.stderr[-500:]}")
    failed = report["results"]["failed_checks"]
    if report["summary"]["parsing_errors"]:
        names = " or ".join(each.name for each in templates)
        raise RuntimeError(f"checkov cannot read {names}: {done.stderr[-500:]}")
    findings = [
        f"{each['check_id']} {Path(each['file_path']).name} {each['resource']}: "
        f"{each['check_name']}"
        for each in failed
    ]
    return Outcome(
        f"{report['summary']['passed']} checks passed, {len(findings)} failed", tuple(findings)
    )


def cfn_guard_binary() -> Path:
    """Returns its path in the npm package for this machine; it may not exist."""
    system = {"Linux": "ubuntu", "Darwin": "macos"}.get(platform.system(), "")
    machine = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return GUARD_PACKAGE / "bin" / system / machine / "cfn-guard"


def cfn_guard(template: Path) -> Outcome:
    binary = cfn_guard_binary()
    if not binary.exists():
        return Outcome(
            "skipped: it comes in an npm package, and there is no npm (or no such binary)",
            missing=True,
        )
    done = _run(
        binary,
        *("validate", "--rules", str(GUARD_PACKAGE / "rules/control-tower/cfn-guard")),
        *("--data", str(template), "--output-format", "json"),
        *("--show-summary", "none", "--structured"),
    )
    (report,) = json.loads(done.stdout)
    failed = {each["Rule"]["name"] for each in report["not_compliant"]}
    findings = [
        *(f"{name} is not kept" for name in sorted(failed - GUARD_EXCEPTIONS.keys())),
        *(f"{name} is kept now: no exception" for name in sorted(GUARD_EXCEPTIONS.keys() - failed)),
    ]
    return Outcome(
        f"{len(report['compliant'])} rules kept, {len(GUARD_EXCEPTIONS)} excepted with a reason",
        tuple(findings),
    )


def bandit() -> Outcome:
    done = _run(
        LINT / "bandit",
        *("--quiet", "--recursive", "--severity-level", "medium", "--format", "json"),
        *SCANNED_CODE,
    )
    report = json.loads(done.stdout)
    findings = [
        f"{each['test_id']} {each['filename']}:{each['line_number']}: {each['issue_text']}"
        for each in report["results"]
    ]
    lines = report["metrics"]["_totals"]["loc"]
    return Outcome(
        f"{lines} lines, {len(findings)} findings of medium or high severity", tuple(findings)
    )


def pip_audit(service: str) -> Outcome:
    if not service:
        return Outcome("skipped: no database at hand; `make lint AUDIT=pypi` (or osv) asks one")
    findings = []
    for name in AUDITED:
        done = _run(
            LINT / "pip-audit",
            *("--requirement", f"requirements/{name}", "--no-deps", "--disable-pip"),
            *("--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"),
        )
        if not done.stdout:
            return Outcome(f"skipped: {service} cannot be reached: {done.stderr.strip()[-200:]}")
        findings += [
            f"{package['name']} {package['version']}: {each['id']}"
            for package in json.loads(done.stdout)["dependencies"]
            for each in package.get("vulns", [])
        ]
    return Outcome(f"{len(findings)} known vulnerabilities", tuple(findings))


def own_environment() -> dict[str, str]:
    """Of a tool: the project's own packages would hide those of the tool."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def _lines(output: str) -> Outcome:
    findings = tuple(line for line in output.splitlines() if line)
    return Outcome(f"{len(findings)} findings", findings)


def _written(path: Path, template: dict[str, Any]) -> Path:
    path.write_text(json.dumps(template, indent=1))
    return path


def _run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *arguments],
        cwd=PROJECT,
        env=own_environment(),
        capture_output=True,
        text=True,
        check=False,  # most exit with an error when they find something; the output is read
    )
